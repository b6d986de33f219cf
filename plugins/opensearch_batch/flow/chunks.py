"""Chunk: which part of which text a row is."""

from __future__ import annotations

from opensearch_batch.flow.values import Value

CHUNK = "_chunk"
"""Field of a row and of its result."""


class Chunk(Value, frozen=True, kw_only=True, omit_defaults=True):
    """Chunk `number` of `count`, counted from 0, of the row `of`. `start` and `end` are places in that row's text, in
    characters (Unicode code points), the end not included. `of_hash` names the whole text together with the model and
    with how texts are cut, for a document that is written back. `text` is None where it is not kept.
    """

    of: str
    number: int
    count: int
    start: int
    end: int
    of_hash: str = ""
    text: str | None = None


def chunk_id(row_id: str, number: int) -> str:
    """Return the id of a chunk's row. All rows of a run are chunks or none is, and the last # separates: so no two rows
    have one id, whatever their documents' ids are.
    """
    return f"{row_id}#{number}"


def row_of(chunk: str) -> str:
    """Return the id of the row that a chunk's id names."""
    return chunk.rpartition("#")[0]
