"""Parquet, read by batches of rows, and only the columns that the run needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from opensearch_batch.errors import InputError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.sources.columns import refuse_missing
from opensearch_batch.sources.rows import Place, Row

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"
BATCH_ROWS = 1000
PAGE_BYTES = 1 << 20
"""Read ahead of a column; without it a column's whole row group is in memory."""


def parquet_rows(source: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    """Raise InputError for an object that is no Parquet, and for a table without a wanted column."""
    with imported_from("parquet", "an input of Parquet"):
        import pyarrow
        import pyarrow.parquet
    try:
        file = pyarrow.parquet.ParquetFile(source, buffer_size=PAGE_BYTES, pre_buffer=False)
        refuse_missing(name, file.schema_arrow.names, wanted)
        number = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=list(wanted), use_threads=False):
            for fields in _in_microseconds(batch).to_pylist():
                number += 1
                yield Row(fields, Place(name, number, "row"))
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:  # the latter two of what Python cannot hold
        raise InputError(f"{name} cannot be read as Parquet: {type(error).__name__}: {error}") from None
    except OSError as error:  # of the storage, and of pyarrow about pages that it cannot read
        raise Unavailable(
            f"{name}: the source broke off: {type(error).__name__}: {error}. Nothing was sent. Is the file whole?"
        ) from None


def _in_microseconds(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """As exact as times of Python are. Of nanoseconds pyarrow makes values of pandas, which no JSON takes, and an error
    where pandas is not installed.
    """
    for at, field in enumerate(batch.schema):
        if getattr(field.type, "unit", "") == "ns":
            kind = _of_microseconds(field.type)
            batch = batch.set_column(at, field.with_type(kind), batch.column(at).cast(kind, safe=False))
    return batch


def _of_microseconds(kind: pyarrow.DataType) -> pyarrow.DataType:
    import pyarrow

    if pyarrow.types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz)
    return pyarrow.duration("us") if pyarrow.types.is_duration(kind) else pyarrow.time64("us")
