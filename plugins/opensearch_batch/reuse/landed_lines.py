"""The lines of landed results files, as entries of the record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import msgspec

from opensearch_batch.errors import InputError
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.reuse.compaction import compact
from opensearch_batch.reuse.entries import Entries, arrow, today
from opensearch_batch.reuse.record import add, open_record, told
from opensearch_batch.reuse.whose import looking_once
from opensearch_batch.storage import open_binary

PART_ROWS = 500_000
"""Entries of a file of the record; more of one results file are several files."""


class _Line(msgspec.Struct):
    text_hash: str | None = msgspec.field(default=None, name="_text_hash")
    paid_day: int | None = msgspec.field(default=None, name="_paid_day")
    embedding: msgspec.Raw = msgspec.Raw()


def keep_landed(folder: str, files: Iterable[DataFile]) -> int:
    """Enter the vectors in these results files; return the number of entries. Repeating writes the same names."""
    count, name, now = 0, "", time.time()
    for file in files:
        name = file.uri.rsplit("/", 1)[-1].rpartition(".")[0]
        for number, entries in enumerate(_entries(file.uri, _day_of(folder, name))):
            table = entries.table()
            add(folder, f"{name}-{number}" if number else name, table, now)
            count += len(table)
    if count:
        compact(folder, f"{name}-all", is_there=looking_once())
    return count


def _day_of(folder: str, name: str) -> int:
    """Return the day on which a results file was entered first: entered again, its vectors grow no younger. Today where
    the record has merged the file's entries with others.
    """
    uri = f"{folder}/{name}.parquet"
    try:
        with told(uri), open_record(uri) as source:
            days = arrow().parquet.read_table(source, columns=["day"]).column("day").to_pylist()
    except InputError:  # not there yet, merged, or broken
        return today()
    return min(days, default=today())


def _entries(uri: str, day: int) -> Iterator[Entries]:
    """Yield at most PART_ROWS at once."""
    decoder = msgspec.json.Decoder(_Line)
    offset, entries = 0, Entries(uri)
    with open_binary(uri) as source:
        for raw in source:
            line = decoder.decode(raw)
            vector = bytes(line.embedding)
            if line.text_hash is not None and vector and not _is_zero(vector):
                paid = day if line.paid_day is None else line.paid_day
                entries.add(bytes.fromhex(line.text_hash), offset, len(raw), paid)
                if len(entries) == PART_ROWS:
                    yield entries
                    entries = Entries(uri)
            offset += len(raw)
    if entries:
        yield entries


def _is_zero(vector: bytes) -> bool:
    """Whether a vector has no direction: an index with cosine would refuse it in every later run."""
    return not vector.translate(None, b"[]0., -")
