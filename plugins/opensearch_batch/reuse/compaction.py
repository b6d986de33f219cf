"""Compaction: many files of the record become one. Memory holds a small range of hashes of all files at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from opensearch_batch.reuse.entries import HASH_BYTES, arrow, joined, newest_sorted
from opensearch_batch.reuse.record import files_in, open_record, told, write
from opensearch_batch.storage import remove

if TYPE_CHECKING:
    import pyarrow

MOST_FILES = 32
"""Above so many files they become one."""
AT_ONCE = 40
"""Files that are merged at once, all of them open."""
PART_ROWS = 250_000
"""Entries of a range of hashes, about."""
MOST_PARTS = 1 << 16
REST_BITS = 8 * HASH_BYTES - 16
"""A range is told by the first 16 bits of its hashes."""


def compact(folder: str, name: str, *, oldest_day: int = 0) -> int:
    """Make one file of many, without entries older than a day; return how many files it took the place of.

    A reader at the same moment may find a hash twice, or miss a file that has just gone: the text is sent then.
    """
    names = files_in(folder)
    if len(names) <= MOST_FILES:
        return 0
    names = names[:AT_ONCE]
    pa = arrow()
    with told(folder), ExitStack() as stack:
        files = [pa.parquet.ParquetFile(stack.enter_context(open_record(f"{folder}/{each}"))) for each in names]
        parts = min(MOST_PARTS, 1 + sum(file.metadata.num_rows for file in files) // PART_ROWS)
        write(f"{folder}/{name}.parquet", (_part(files, number, parts, oldest_day) for number in range(parts)))
    for each in names:
        if each != f"{name}.parquet":
            remove(f"{folder}/{each}")
    return len(names)


def _part(files: Sequence[Any], number: int, parts: int, oldest_day: int) -> pyarrow.Table:
    """The entries of a range of hashes of all files, sorted, each hash with its newest entry."""
    first = _hash(number * MOST_PARTS // parts << REST_BITS)
    last = _hash(((number + 1) * MOST_PARTS // parts << REST_BITS) - 1)
    tables = []
    for file in files:
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(0).statistics
            if bounds.max >= first and bounds.min <= last:
                tables.append(_within(file.read_row_group(group), first, last, oldest_day))
    return newest_sorted(joined(tables))


def _hash(number: int) -> bytes:
    return number.to_bytes(HASH_BYTES, "big")


def _within(table: pyarrow.Table, first: bytes, last: bytes, oldest_day: int) -> pyarrow.Table:
    pa = arrow()
    pc, hashes = pa.compute, table["hash"]
    least, most = pa.scalar(first, hashes.type), pa.scalar(last, hashes.type)
    in_range = pc.and_(pc.greater_equal(hashes, least), pc.less_equal(hashes, most))
    return table.filter(pc.and_(in_range, pc.greater_equal(table["day"], oldest_day)))
