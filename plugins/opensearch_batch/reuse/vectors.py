"""Vectors by their entries in the record, copied from the results files in which they landed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import IO

import msgspec

from opensearch_batch.errors import Terminal
from opensearch_batch.reuse.record import Entry
from opensearch_batch.storage import open_binary

log = logging.getLogger(__name__)


class _Line(msgspec.Struct):
    text_hash: str = msgspec.field(name="_text_hash")
    embedding: msgspec.Raw


def vectors_of(entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Yield entry and vector, as JSON text, for each entry whose line is there; entries come by file and offset."""
    decoder = msgspec.json.Decoder(_Line)
    for uri, group in groupby(entries, key=lambda entry: entry.uri):
        try:
            with open_binary(uri) as source:
                for entry in group:
                    if (vector := _vector(source, entry, decoder)) is not None:
                        yield entry, vector
        except Terminal as error:  # gone, or another team's
            log.info("vectors of an earlier run cannot be read, and their texts are sent: %s", error)


def _vector(source: IO[bytes], entry: Entry, decoder: msgspec.json.Decoder[_Line]) -> bytes | None:
    """None for a line of another text: the file was written anew."""
    source.seek(entry.offset)
    try:
        line = decoder.decode(source.read(entry.length))
    except msgspec.DecodeError:
        return None
    return bytes(line.embedding) if line.text_hash == entry.hash.hex() else None
