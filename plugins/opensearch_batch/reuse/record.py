"""Record: where the vector of each text lies that a run has paid for, as Parquet files sorted by the texts' hashes.

A file a run, in one folder of any storage; many files become one (reuse/compaction.py). Memory holds the hashes that
are asked for, the entries that are found, and one row group.
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from opensearch_batch.errors import InputError, NoSuchObject
from opensearch_batch.reuse.entries import HASH_BYTES, arrow, as_hashes, by_age, joined, schema
from opensearch_batch.reuse.whose import IsThere, in_files, is_paid_by
from opensearch_batch.sinks.parquet import ArrowFile
from opensearch_batch.storage import ObjectWriter, names_in, open_binary

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow

log = logging.getLogger(__name__)

GROUP_ROWS = 1 << 16
ASKED_AT_ONCE = 1 << 19
"""Hashes of a look-up, and entries of them in memory, about: 40 bytes each."""
BLOCK_BYTES = 1 << 20
"""Read ahead from object storage: about a column of a row group."""
LANDED_AT = b"landed_at"
"""In a file's metadata: when the youngest of its results landed, in epoch seconds."""

Append = Callable[["pyarrow.Table"], None]


def add(folder: str, name: str, table: pyarrow.Table, landed_at: float) -> None:
    """Write sorted entries of results that landed then (epoch seconds), over a file of the same name."""
    with writing(f"{folder}/{name}.parquet", landed_at) as append:
        append(table)


@contextmanager
def writing(uri: str, landed_at: float) -> Iterator[Append]:
    """Yield what appends sorted entries to a file of the record; without an entry there will be no file. Hashes are as
    random as can be, so they lie as they are.
    """
    pa = arrow()
    rows = 0

    def append(table: pyarrow.Table) -> None:
        nonlocal rows
        if table.num_rows:  # a row group without rows has no bounds
            writer.write_table(table.cast(schema()), row_group_size=GROUP_ROWS)
            rows += table.num_rows

    with ObjectWriter(uri) as out:
        with pa.parquet.ParquetWriter(
            ArrowFile(out),
            schema().with_metadata({LANDED_AT: str(landed_at).encode()}),
            compression={name: "none" if name == "hash" else "zstd" for name in schema().names},
            use_dictionary=["uri", "length", "day"],
        ) as writer:
            yield append
        if rows:
            out.commit()


def landed_at(file: Any) -> float:
    """Return when the youngest results of an open file of the record landed, in epoch seconds; 0 where it does not
    tell.
    """
    return float((file.schema_arrow.metadata or {}).get(LANDED_AT, 0))


def files_in(folder: str) -> list[str]:
    return sorted(name for name in names_in(folder) if name.endswith(".parquet") and not name.startswith("."))


def open_record(uri: str) -> AbstractContextManager[IO[bytes]]:
    return open_binary(uri, block_bytes=BLOCK_BYTES)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise pyarrow's errors as InputError, and the absence of a file that was there when it was opened as
    NoSuchObject: object storage reads later.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchObject(f"{what}: no part of the record any more: {error}") from error
    except arrow().ArrowException as error:
        raise InputError(f"{what}: no part of the record: {error}") from error


def find(
    folder: str, asked: bytes, *, oldest_day: int = 0, but_of: str = "", is_there: IsThere = lambda uri: True
) -> tuple[pyarrow.Table, pyarrow.Table]:
    """Return the newest entry of each hash that is known, and older entries as far as there is room for them; `asked`
    are at most ASKED_AT_ONCE sorted hashes, 16 bytes each, end to end, each once. A text that the run of the key
    `but_of` has paid for counts as unknown, also where another run has copied its vector. An entry whose results file
    is gone counts as absent.
    """
    pa = arrow()
    tables: list[pyarrow.Table] = []
    own: list[pyarrow.Table] = []
    for name in files_in(folder):
        try:
            with told(f"{folder}/{name}"), open_record(f"{folder}/{name}") as source:
                for found in _found_in(source, asked):
                    if but_of:
                        own.append(found.filter(in_files(found, is_paid_by(but_of))))
                    tables.append(_usable(found, oldest_day, is_there))
        except InputError as error:  # gone, as another run has merged it, or broken
            log.warning("a file of the record is left out, and what only it knows is sent: %s", error)
        if sum(map(len, tables)) > 2 * ASKED_AT_ONCE:
            tables = [by_age(joined(tables), asked)[0]]
    found, paid = joined(tables), joined(own)["hash"].combine_chunks()
    return by_age(found.filter(pa.compute.invert(pa.compute.is_in(found["hash"], value_set=paid))), asked)


def _usable(found: pyarrow.Table, oldest_day: int, is_there: IsThere) -> pyarrow.Table:
    recent = found.filter(arrow().compute.greater_equal(found["day"], oldest_day))
    return recent.filter(in_files(recent, is_there))


def groups_of(file: Any) -> Iterator[tuple[int, Any]]:
    """Yield the number of each row group with rows, and the bounds of its hashes."""
    for group in range(file.num_row_groups):
        if file.metadata.row_group(group).num_rows:
            yield group, file.metadata.row_group(group).column(0).statistics


def _found_in(source: IO[bytes], asked: bytes) -> Iterator[pyarrow.Table]:
    pa = arrow()
    file = pa.parquet.ParquetFile(source)
    hashes, others = _Sorted(asked), [name for name in schema().names if name != "hash"]
    for group, bounds in groups_of(file):
        wanted = hashes.between(bounds.min, bounds.max)
        if not len(wanted):
            continue
        known = file.read_row_group(group, columns=["hash"]).column("hash").combine_chunks()
        hits = _places(known, wanted)
        if not len(hits):
            continue
        rest = file.read_row_group(group, columns=others)
        found = pa.table([known, *rest.columns], names=["hash", *rest.column_names]).take(hits)
        yield found.cast(schema())


def _places(known: pyarrow.Array, wanted: pyarrow.Array) -> pyarrow.Array:
    """Where in `known` the wanted hashes are; both are sorted, and the fewer are searched for in the more."""
    pa = arrow()
    pc, binary = pa.compute, pa.binary()
    if len(known) < len(wanted):
        at = pc.search_sorted(wanted.cast(binary), known.cast(binary))
        last = pc.min_element_wise(at, pa.scalar(len(wanted) - 1, at.type))
        return pc.indices_nonzero(pc.equal(wanted.take(last), known))
    at = pc.search_sorted(known.cast(binary), wanted.cast(binary))
    last = pc.min_element_wise(at, pa.scalar(len(known) - 1, at.type))
    return last.filter(pc.equal(known.take(last), wanted))


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
        begin, end = bisect_left(self, first), bisect_right(self, last)
        return as_hashes(self._joined[begin * HASH_BYTES : end * HASH_BYTES])
