"""Compaction: many files of the record become few. Memory holds a small range of hashes of all files at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import InputError
from opensearch_batch.reuse.entries import HASH_BYTES, arrow, joined, newest_sorted, schema
from opensearch_batch.reuse.record import files_in, groups_of, landed_at, open_record, told, writing
from opensearch_batch.reuse.whose import COPIED, IsThere, in_files, is_copied
from opensearch_batch.storage import remove

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

MOST_FILES = 32
"""Above so many files they become few."""
AT_ONCE = 40
"""Files that are merged at once, all of them open."""
PART_ROWS = 250_000
"""Entries of a range of hashes, about."""
MOST_PARTS = 1 << 16
REST_BITS = 8 * HASH_BYTES - 16
"""A range is told by the first 16 bits of its hashes."""


def compact(folder: str, name: str, *, is_there: IsThere = lambda uri: True) -> int:
    """Make few files of many; return how many files they took the place of. Of each text two entries stay: of a vector
    that its run has paid for, by which the run prepared again knows its own texts, and of a copy. Of several the newest
    vector stays, of equals the one in the results that landed last: these are removed last. Entries of results files
    that are gone go; old ones stay, because the specs that share a record have ages of their own.

    A reader at the same moment may find a hash twice, or miss a file that has just gone: the text is sent then.
    """
    count = 0
    while len(names := _by_landing(folder)) > MOST_FILES:
        try:
            merged = _merge(folder, names[:AT_ONCE], name, is_there)
        except InputError as error:
            log.warning("the record stays as it is until the next report: %s", error)
            return count
        if not merged:
            return count
        count += merged
    return count


def _by_landing(folder: str) -> list[str]:
    """The names of few files, or of all that can be read, those that landed first at the front."""
    names = files_in(folder)
    if len(names) <= MOST_FILES:
        return []
    found = []
    for name in names:
        try:
            with told(f"{folder}/{name}"), open_record(f"{folder}/{name}") as source:
                found.append((landed_at(arrow().parquet.ParquetFile(source)), name))
        except InputError as error:
            log.warning("a file of the record stays beside the others: %s", error)
    return [name for _, name in sorted(found)]


def _merge(folder: str, names: Sequence[str], name: str, is_there: IsThere) -> int:
    """Return the number of files that are merged, 0 where others have merged all but one. The new names tell the old:
    what an earlier merging has written is never written over.
    """
    tag = hashlib.sha256("|".join(names).encode()).hexdigest()[:8]
    paid, copied = (f"{folder}/{name}-{tag}-{kind}.parquet" for kind in ("paid", COPIED))
    with told(folder), ExitStack() as stack:
        opened = [(each, file) for each in names if (file := _opened(f"{folder}/{each}", stack))]
        files = [file for _, file in opened]
        if len(files) < 2:
            return 0
        last = max(map(landed_at, files))
        add_paid, add_copied = (stack.enter_context(writing(uri, last)) for uri in (paid, copied))
        parts = min(MOST_PARTS, 1 + sum(file.metadata.num_rows for file in files) // PART_ROWS)
        for number in range(parts):
            part = _part(files, number, parts, is_there)
            copies = in_files(part, is_copied)
            add_copied(newest_sorted(part.filter(copies)))
            add_paid(newest_sorted(part.filter(arrow().compute.invert(copies))))
    for each, _ in opened:
        remove(f"{folder}/{each}")
    return len(opened)


def _opened(uri: str, stack: ExitStack) -> Any:
    """None where another run has merged the file since it was listed."""
    try:
        with told(uri):
            return arrow().parquet.ParquetFile(stack.enter_context(open_record(uri)))
    except InputError:
        return None


def _part(files: Sequence[Any], number: int, parts: int, is_there: IsThere) -> pyarrow.Table:
    """The entries of a range of hashes of all files, those that landed last at the front."""
    first = _hash(number * MOST_PARTS // parts << REST_BITS)
    last = _hash(((number + 1) * MOST_PARTS // parts << REST_BITS) - 1)
    tables = []
    for file in reversed(files):
        for group, bounds in groups_of(file):
            if bounds.max >= first and bounds.min <= last:
                tables.append(_within(file.read_row_group(group).cast(schema()), first, last, is_there))
    return joined(tables)


def _hash(number: int) -> bytes:
    return number.to_bytes(HASH_BYTES, "big")


def _within(table: pyarrow.Table, first: bytes, last: bytes, is_there: IsThere) -> pyarrow.Table:
    pa = arrow()
    pc, hashes = pa.compute, table["hash"]
    least, most = pa.scalar(first, hashes.type), pa.scalar(last, hashes.type)
    in_range = table.filter(pc.and_(pc.greater_equal(hashes, least), pc.less_equal(hashes, most)))
    return in_range.filter(in_files(in_range, is_there))
