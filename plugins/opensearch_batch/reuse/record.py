"""Record: where the vector of each text lies that a run has paid for, as Parquet files sorted by the texts' hashes.

A file a run, in one folder of any storage; many files become one. Memory holds the hashes that are asked for, 16 bytes
each, and one row group.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from opensearch_batch.errors import InputError
from opensearch_batch.extras import imported_from
from opensearch_batch.sinks.parquet import ArrowFile
from opensearch_batch.storage import ObjectWriter, names_in, open_binary, remove

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

HASH_BYTES = 16
GROUP_ROWS = 1 << 16
MOST_FILES = 32
"""Above so many files they become one."""
PART_ROWS = 200_000
"""Entries in memory at once, about."""
AT_ONCE = 64
"""Files that are merged at once, all of them open."""
DAY_SECONDS = 86_400


class Entry(NamedTuple):
    """A line of a results file: `length` bytes from `offset` on, line end included. `day` counts from 1970."""

    hash: bytes
    uri: str
    offset: int
    length: int
    day: int


def today() -> int:
    return int(time.time() // DAY_SECONDS)


def _arrow() -> Any:
    with imported_from("parquet", "reuse"):
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    return pyarrow


def require_libraries() -> None:
    """Raise SpecError where pyarrow is not installed."""
    _arrow()


def _schema() -> pyarrow.Schema:
    pa = _arrow()
    return pa.schema(
        [
            ("hash", pa.binary(HASH_BYTES)),
            ("uri", pa.dictionary(pa.int32(), pa.string())),
            ("offset", pa.int64()),
            ("length", pa.int32()),
            ("day", pa.int32()),
        ]
    )


def add_entries(folder: str, name: str, entries: Iterable[Entry]) -> int:
    """Write entries as files of at most PART_ROWS each, over files of the same names; return their number."""
    source, count = iter(entries), 0
    while rows := sorted(islice(source, PART_ROWS)):
        _add(folder, f"{name}-{count}" if count else name, rows)
        count += len(rows)
    return count


def _add(folder: str, name: str, rows: Sequence[Entry]) -> None:
    pa = _arrow()
    columns = [list(column) for column in zip(*rows, strict=True)]
    types = [pa.binary(HASH_BYTES), pa.string(), pa.int64(), pa.int32(), pa.int32()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    table = pa.table(arrays, names=Entry._fields).cast(_schema())
    _write(f"{folder}/{name}.parquet", [table])


def find(folder: str, hashes: bytes, *, oldest_day: int = 0) -> Iterator[Entry]:
    """Yield an entry for each hash that is known, of several the last of each file; `hashes` are sorted, 16 bytes each,
    each once.
    """
    for name in files_in(folder):
        try:
            with _told(f"{folder}/{name}"), open_binary(f"{folder}/{name}") as source:
                yield from _found_in(source, hashes, oldest_day)
        except InputError as error:  # gone, as another run has merged it, or broken
            log.warning("a file of the record is left out, and what only it knows is sent: %s", error)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise pyarrow's errors as InputError."""
    try:
        yield
    except _arrow().ArrowException as error:
        raise InputError(f"{what}: no part of the record: {error}") from error


def files_in(folder: str) -> list[str]:
    return sorted(name for name in names_in(folder) if name.endswith(".parquet") and not name.startswith("."))


def _found_in(source: Any, hashes: bytes, oldest_day: int) -> Iterator[Entry]:
    pa = _arrow()
    file = pa.parquet.ParquetFile(source)
    asked = _Sorted(hashes)
    for group in range(file.num_row_groups):
        known = file.read_row_group(group, columns=["hash"]).column("hash").combine_chunks()
        wanted = asked.between(known[0].as_py(), known[-1].as_py())
        if not len(wanted):
            continue
        at = pa.compute.index_in(known, value_set=wanted).is_valid()
        if not pa.compute.any(at).as_py():
            continue
        rows = file.read_row_group(group).filter(at)
        rows = rows.filter(pa.compute.greater_equal(rows.column("day"), oldest_day))
        for batch in rows.to_batches():
            columns = [batch.column(field).to_pylist() for field in Entry._fields]
            yield from map(Entry._make, zip(*columns, strict=True))


class _Sorted(Sequence[bytes]):
    """Sorted hashes, end to end."""

    def __init__(self, joined: bytes) -> None:
        self._joined = joined

    def __len__(self) -> int:
        return len(self._joined) // HASH_BYTES

    def __getitem__(self, at: Any) -> Any:
        return self._joined[at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def between(self, first: bytes, last: bytes) -> pyarrow.Array:
        """Return the hashes from `first` to `last`."""
        pa = _arrow()
        begin, end = bisect_left(self, first), bisect_right(self, last)
        view = self._joined[begin * HASH_BYTES : end * HASH_BYTES]
        return pa.Array.from_buffers(pa.binary(HASH_BYTES), end - begin, [None, pa.py_buffer(view)])


def compact(folder: str, name: str, *, oldest_day: int = 0) -> int:
    """Make one file of many, without entries older than a day; return how many files it took the place of.

    A reader at the same moment may find a hash twice, or miss a file that has just gone: the text is sent then.
    """
    names = files_in(folder)
    if len(names) <= MOST_FILES:
        return 0
    names = names[:AT_ONCE]
    pa = _arrow()
    with _told(folder), ExitStack() as stack:
        files = [pa.parquet.ParquetFile(stack.enter_context(open_binary(f"{folder}/{each}"))) for each in names]
        parts = min(256, 1 + sum(file.metadata.num_rows for file in files) // PART_ROWS)
        _write(f"{folder}/{name}.parquet", (_part(files, number, parts, oldest_day) for number in range(parts)))
    for each in names:
        if each != f"{name}.parquet":
            remove(f"{folder}/{each}")
    return len(names)


def _part(files: Sequence[Any], number: int, parts: int, oldest_day: int) -> pyarrow.Table:
    """The entries of a range of hashes of all files, sorted, each hash with its newest entry."""
    pa = _arrow()
    first = bytes([number * 256 // parts]) + bytes(HASH_BYTES - 1)
    last = bytes([(number + 1) * 256 // parts - 1]) + b"\xff" * (HASH_BYTES - 1)
    tables = [_schema().empty_table()]
    for file in files:
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(0).statistics
            if bounds is None or (bounds.min <= last and bounds.max >= first):
                tables.append(_within(file.read_row_group(group), first, last, oldest_day))
    table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    table = table.sort_by([("hash", "ascending"), ("day", "descending")])
    known = table.column("hash").combine_chunks()
    if len(known) < 2:
        return table
    again = pa.compute.equal(known[1:], known[:-1])
    return table.filter(pa.concat_arrays([pa.array([True]), pa.compute.invert(again)]))


def _within(table: pyarrow.Table, first: bytes, last: bytes, oldest_day: int) -> pyarrow.Table:
    pa = _arrow()
    hashes = table.column("hash")
    kept = pa.compute.and_(
        pa.compute.and_(
            pa.compute.greater_equal(hashes, pa.scalar(first, pa.binary(HASH_BYTES))),
            pa.compute.less_equal(hashes, pa.scalar(last, pa.binary(HASH_BYTES))),
        ),
        pa.compute.greater_equal(table.column("day"), oldest_day),
    )
    return table.filter(kept)


def _write(uri: str, tables: Iterable[pyarrow.Table]) -> None:
    pa = _arrow()
    with ObjectWriter(uri) as out:
        with pa.parquet.ParquetWriter(ArrowFile(out), _schema(), compression="zstd") as writer:
            for table in tables:
                writer.write_table(table.cast(_schema()), row_group_size=GROUP_ROWS)
        out.commit()
