"""Entries: where the vector of each text lies, as Arrow tables. An entry is a line of a results file."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opensearch_batch.extras import imported_from

if TYPE_CHECKING:
    import pyarrow

HASH_BYTES = 16
DAY_SECONDS = 86_400
MOST_OFFSET_BITS = 40
"""A results file has less than a terabyte."""


def today() -> int:
    """The day, counted from 1970."""
    return int(time.time() // DAY_SECONDS)


def arrow() -> Any:
    with imported_from("parquet", "reuse"):
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    return pyarrow


def require_libraries() -> None:
    """Raise SpecError where pyarrow is not installed."""
    arrow()


def schema() -> pyarrow.Schema:
    """`length` bytes of the file `uri`, from `offset` on, line end included; `day` is when the vector was paid for."""
    pa = arrow()
    return pa.schema(
        [
            ("hash", pa.binary(HASH_BYTES)),
            ("uri", pa.dictionary(pa.int32(), pa.string())),
            ("offset", pa.int64()),
            ("length", pa.int32()),
            ("day", pa.int32()),
        ]
    )


class Entries:
    """The entries of one results file, 32 bytes each until they are a table."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._hashes, self._offsets = bytearray(), array("q")
        self._lengths, self._days = array("i"), array("i")

    def __len__(self) -> int:
        return len(self._days)

    def add(self, text_hash: bytes, offset: int, length: int, day: int) -> None:
        self._hashes += text_hash
        self._offsets.append(offset)
        self._lengths.append(length)
        self._days.append(day)

    def table(self) -> pyarrow.Table:
        """Return the entries sorted by hash, of each hash the newest."""
        pa = arrow()
        uris = pa.DictionaryArray.from_arrays(pa.nulls(len(self), pa.int32()).fill_null(0), [self._uri])
        numbers = zip((pa.int64(), pa.int32(), pa.int32()), (self._offsets, self._lengths, self._days), strict=True)
        columns = [
            as_hashes(bytes(self._hashes)),
            uris,
            *(pa.Array.from_buffers(kind, len(self), [None, pa.py_buffer(each)]) for kind, each in numbers),
        ]
        return newest_sorted(pa.Table.from_arrays(columns, schema=schema()))


def as_hashes(joined: bytes) -> pyarrow.Array:
    """Hashes that lie end to end, as an array; nothing is copied."""
    pa = arrow()
    return pa.Array.from_buffers(pa.binary(HASH_BYTES), len(joined) // HASH_BYTES, [None, pa.py_buffer(joined)])


def joined(tables: Sequence[pyarrow.Table]) -> pyarrow.Table:
    """One table with one piece a column."""
    pa = arrow()
    whole = pa.concat_tables([schema().empty_table(), *tables], promote_options="permissive")
    return whole.unify_dictionaries().combine_chunks()


def newest_sorted(table: pyarrow.Table) -> pyarrow.Table:
    """Sort by hash; of each hash the newest entry stays. Sorting is stable, and numbers are sorted much faster."""
    pa = arrow()
    table = table.take(pa.compute.sort_indices(table, [("day", "descending")]))
    table = table.take(pa.compute.sort_indices(table["hash"])).combine_chunks()
    return table.filter(_first_of_each(table["hash"]))


def by_age(table: pyarrow.Table, asked: bytes) -> tuple[pyarrow.Table, pyarrow.Table]:
    """Return the newest entry of each hash, and the others; `asked` are the hashes that there are, end to end."""
    pa = arrow()
    pc = pa.compute
    at = pc.index_in(table["hash"], value_set=as_hashes(asked)).cast(pa.int64())
    order = pc.sort_indices(pc.subtract(pc.multiply(at, 1 << 31), table["day"].cast(pa.int64())))
    newest = _first_of_each(at.take(order))
    return table.take(order.filter(newest)), table.take(order.filter(pc.invert(newest)))


def in_reading_order(table: pyarrow.Table) -> pyarrow.Table:
    """Sort by file and offset."""
    pa = arrow()
    if not len(table):
        return table
    files = table["uri"].combine_chunks().indices.cast(pa.int64())
    place = pa.compute.add(pa.compute.multiply(files, 1 << MOST_OFFSET_BITS), table["offset"])
    return table.take(pa.compute.sort_indices(place))


def _first_of_each(values: pyarrow.ChunkedArray) -> pyarrow.Array:
    """Whether each of sorted values is another than the one before."""
    pa = arrow()
    values = values.combine_chunks()
    if len(values) < 2:
        return pa.array([True] * len(values), pa.bool_())
    return pa.concat_arrays([pa.array([True]), pa.compute.not_equal(values[1:], values[:-1])])
