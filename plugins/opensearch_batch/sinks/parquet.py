"""Parquet result files, streamed by row groups."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.extras import imported_from
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.shards import FieldType
from opensearch_batch.sinks.jsonl import NO_FIELDS
from opensearch_batch.storage import ObjectWriter

GROUP_BYTES = 4 << 20
"""Bytes of the vectors of a Parquet row group in single precision: the vectors in memory, besides the encoded form."""

GROUP_ROWS, GROUP_CHARACTERS = 20_000, 4 << 20
"""Rows of a group of short vectors or short texts; characters of a group of texts."""


ARROW_TYPES: dict[FieldType, str] = {
    "text": "string",
    "integer": "int64",
    "number": "float64",
    "boolean": "bool_",
    "json": "string",
}
"""pyarrow's functions that make the types of included fields."""


def _as_json(value: Any) -> str:
    return orjson.dumps(value).decode()


IN_COLUMN: dict[FieldType, Callable[[Any], Any]] = {
    "text": lambda value: value if isinstance(value, str) else _as_json(value),
    "integer": int,  # 1.0 is a whole number for JSON schemas
    "number": float,  # Arrow takes no whole number above 2^53 for one
    "boolean": bool,
    "json": _as_json,
}
"""A field, or a property of a checked answer, as its column has it."""


def _in_column(kind: FieldType, value: Any) -> Any:
    return None if value is None else IN_COLUMN[kind](value)


def arrow() -> Any:
    """Return pyarrow. Raise SpecError where it is not installed."""
    with imported_from("parquet", "output.format parquet"):
        import pyarrow.compute
        import pyarrow.parquet
    return pyarrow


class Parquet:
    """Columns: id; the fields from the row; embedding (fixed-size list of float32), or output (text) and truncated
    (bool); input_tokens, output_tokens; the provenance, dictionary-encoded. With an output schema the columns of
    `value_types` stand for output.

    Needs pyarrow. Vectors are stored plain, because single precision hardly shrinks and every reader knows the plain
    encoding; all other columns are compressed with zstd.
    """

    def __init__(
        self,
        uri: str,
        provenance: Mapping[str, str],
        field_types: Mapping[str, FieldType] = NO_FIELDS,
        value_types: Mapping[str, FieldType] = NO_FIELDS,
    ) -> None:
        pyarrow = arrow()
        import simdjson

        self._arrow = pyarrow
        self._pool = pyarrow.system_memory_pool()  # pyarrow's own keeps twice as much
        self._parser: Any = simdjson.Parser()
        self._out = ObjectWriter(uri)
        self._file = ArrowFile(self._out)
        self._provenance = dict(provenance)
        self._field_types = dict(field_types)
        self._value_types = dict(value_types)
        self._writer: Any = None
        self._rows = 0
        self._group_rows = GROUP_ROWS
        self._dimensions = 0
        self._clear()

    def __enter__(self) -> Self:
        self._out.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.out = None  # the writer ends its file when it goes, and there is none any more
        self._out.__exit__(kind, value, trace)

    def add(self, answer: Answer, fields: Mapping[str, Any] = NO_FIELDS) -> None:
        """Add an answer. Raise UnknownAnswer where the file would mix texts and vectors, or vectors of two lengths.

        A number beyond single precision also raises UnknownAnswer, once the row group is written, at the latest in
        `commit`.
        """
        if answer.dimensions != self._dimensions:
            if self._dimensions or self._ids or self._rows:
                raise UnknownAnswer(
                    f"row {answer.id}: {_kind(answer.dimensions)} after {_kind(self._dimensions)} in one job. Parquet "
                    "has one kind in a column: clear this task with output.format jsonl."
                )
            self._dimensions = answer.dimensions
            self._group_rows = max(1, min(GROUP_ROWS, GROUP_BYTES // (4 * self._dimensions)))
        if answer.vector is None:
            if self._value_types:
                self._add_value(answer.value)
            else:
                self._outputs.append(answer.output or "")
            self._truncated.append(answer.truncated)
            self._characters += len(answer.output or "")
        else:
            self._add_vector(answer)
        self._ids.append(answer.id)
        self._add_fields(fields)
        self._tokens[0].append(answer.usage.input_tokens)
        self._tokens[1].append(answer.usage.output_tokens)
        if len(self._ids) >= self._group_rows or self._characters >= GROUP_CHARACTERS:
            self._write_group()

    def commit(self) -> DataFile | None:
        self._write_group()
        if self._writer is None:
            return None
        self._writer.close()
        self._writer = None
        self._out.commit()
        return DataFile(self._out.uri, self._rows, self._out.bytes, self._out.sha256)

    def _clear(self) -> None:
        self._ids: list[str] = []
        self._fields: dict[str, list[Any]] = {name: [] for name in self._field_types}
        self._values: dict[str, list[Any]] = {name: [] for name in self._value_types}
        self._outputs: list[str] = []
        self._truncated: list[bool] = []
        self._characters = 0
        self._doubles = bytearray()
        self._singles = array("f")
        self._tokens: tuple[list[int], list[int]] = ([], [])

    def _add_fields(self, fields: Mapping[str, Any]) -> None:
        for name, kind in self._field_types.items():
            value = _in_column(kind, fields.get(name))
            if isinstance(value, str):
                self._characters += len(value)
            self._fields[name].append(value)

    def _add_value(self, value: Mapping[str, Any]) -> None:
        for name, kind in self._value_types.items():
            self._values[name].append(_in_column(kind, value.get(name)))

    def _add_vector(self, answer: Answer) -> None:
        single = isinstance(answer.vector, array)
        if self._doubles if single else self._singles:
            self._write_group()
        if isinstance(answer.vector, array):
            self._singles += answer.vector
        elif answer.numbers is not None:
            self._doubles += answer.numbers
        else:
            self._doubles += self._parser.parse(answer.vector or b"").as_buffer(of_type="d")

    def _write_group(self) -> None:
        if not self._ids:
            return
        columns = {"id": self._arrow.array(self._ids, self._arrow.string())}
        for name, kind in self._field_types.items():
            columns[name] = self._arrow.array(self._fields[name], getattr(self._arrow, ARROW_TYPES[kind])())
        columns |= self._answers()
        for name, counts in zip(("input_tokens", "output_tokens"), self._tokens, strict=True):
            columns[name] = self._arrow.array(counts, self._arrow.int32())
        for name, value in self._provenance.items():
            zeros = self._arrow.array(bytes(len(self._ids)), self._arrow.int8())
            columns[name] = self._arrow.DictionaryArray.from_arrays(zeros, [value])
        table = self._arrow.table(columns)
        self._open(table.schema).write_table(table)
        self._rows += len(self._ids)
        self._clear()

    def _answers(self) -> dict[str, Any]:
        arrow = self._arrow
        if not self._dimensions:
            truncated = arrow.array(self._truncated, arrow.bool_())
            if not self._value_types:
                return {"output": arrow.array(self._outputs, arrow.string()), "truncated": truncated}
            columns = {
                name: arrow.array(self._values[name], getattr(arrow, ARROW_TYPES[kind])())
                for name, kind in self._value_types.items()
            }
            return {**columns, "truncated": truncated}
        if self._doubles:
            count = len(self._doubles) // 8
            doubles = arrow.Array.from_buffers(arrow.float64(), count, [None, arrow.py_buffer(self._doubles)])
            values = doubles.cast(arrow.float32(), safe=False, memory_pool=self._pool)
        else:
            buffers = [None, arrow.py_buffer(self._singles)]
            values = arrow.Array.from_buffers(arrow.float32(), len(self._singles), buffers)
        if not arrow.compute.all(arrow.compute.is_finite(values)).as_py():
            raise UnknownAnswer(
                f"a number among rows {self._ids[0]} to {self._ids[-1]} is beyond single precision, which Parquet "
                "files have. Clear this task with output.format jsonl."
            )
        return {"embedding": arrow.FixedSizeListArray.from_arrays(values, self._dimensions)}

    def _open(self, schema: Any) -> Any:
        if self._writer is None:
            self._writer = parquet_writer(self._file, schema, self._pool)
        return self._writer


def parquet_writer(file: ArrowFile, schema: Any, memory_pool: Any = None) -> Any:
    """Return pyarrow's writer of a results file."""
    pyarrow = arrow()
    plain = "embedding.list.element"
    return pyarrow.parquet.ParquetWriter(
        pyarrow.PythonFile(file, mode="w"),
        schema,
        compression={name: "zstd" for name in schema.names if name != "embedding"} | {plain: "none"},
        use_dictionary=[field.name for field in schema if pyarrow.types.is_dictionary(field.type)],
        write_statistics=["id"],
        memory_pool=memory_pool,
    )


def _kind(dimensions: int) -> str:
    return f"a vector of {dimensions} numbers" if dimensions else "a text"


class ArrowFile:
    """The file interface required by pyarrow; without `out` written bytes are dropped."""

    def __init__(self, out: ObjectWriter) -> None:
        self.out: ObjectWriter | None = out
        self.closed = False

    def write(self, chunk: bytes) -> int:
        if self.out is not None:
            self.out.write(bytes(chunk))
        return len(chunk)

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True
