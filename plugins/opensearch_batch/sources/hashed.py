"""Rows with the hash of their text, which their results have too: by it a later run finds their vector again."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress

from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.rows import BadRow, Row

TEXT_HASH = "text_hash"
"""Field of a row and of its result."""


def hashed(
    rows: Iterable[Row | BadRow], *, model: bytes, text_field: str, prompt: str | None
) -> Generator[Row | BadRow, None, None]:
    """`model` is a model_hash. A row that cannot be sent stays without: the records name it."""
    for row in rows:
        if isinstance(row, Row):
            with suppress(WrongRow):
                row.fields[TEXT_HASH] = text_hash(model, text_of(row.fields, text_field, prompt))
        yield row
