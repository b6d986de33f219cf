"""Vectors by their entries in the record, copied from the results files in which they landed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from opensearch_batch.errors import Terminal
from opensearch_batch.reuse.entries import in_reading_order
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 1_000
"""Entries in memory as Python values."""


class Paid(NamedTuple):
    """A vector as JSON text; `day` is when it was paid for, counted from 1970."""

    text_hash: bytes
    day: int
    vector: bytes


class _Line(msgspec.Struct):
    text_hash: str = msgspec.field(name="_text_hash")
    embedding: msgspec.Raw


def vectors_of(entries: pyarrow.Table, wanted: Callable[[bytes], bool]) -> Iterator[Paid]:
    """Yield the vector of each entry whose hash is wanted and whose line is there, by file and offset."""
    decoder = msgspec.json.Decoder(_Line)
    for uri, group in groupby(_rows(in_reading_order(entries)), key=itemgetter("uri")):
        try:
            with open_binary(uri) as source:
                for row in group:
                    if wanted(row["hash"]) and (vector := _vector(source, row, decoder)) is not None:
                        yield Paid(row["hash"], row["day"], vector)
        except Terminal as error:  # gone, or another team's
            log.info("vectors of an earlier run cannot be read, and their texts are sent: %s", error)


def _rows(table: pyarrow.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _vector(source: IO[bytes], row: dict[str, Any], decoder: msgspec.json.Decoder[_Line]) -> bytes | None:
    """None for a line of another text: the file was written anew."""
    source.seek(row["offset"])
    try:
        line = decoder.decode(source.read(row["length"]))
    except msgspec.DecodeError:
        return None
    return bytes(line.embedding) if line.text_hash == row["hash"].hex() else None
