"""Result files: a shard's answers as JSON Lines or as Parquet, both streamed, both whole or absent."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, cast, get_args

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.data_files import DataFile, Format
from opensearch_batch.flow.shards import FieldType
from opensearch_batch.sinks.jsonl import NO_FIELDS, JsonLines
from opensearch_batch.sinks.parquet import Parquet, arrow


def format_of(name: str) -> Format:
    """Return the name as a Format. Raise SpecError for an unknown format."""
    if name in get_args(Format):
        return cast("Format", name)
    raise SpecError(f"output format {name!r} is not one of {', '.join(get_args(Format))}")


def require_libraries(format_: Format) -> None:
    """Raise SpecError where a library is not installed that writes the format."""
    if format_ == "parquet":
        arrow()


class ResultFile(Protocol):
    """A result file in the making, as a context manager; without `commit` nothing is left behind."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def add(self, answer: Answer, fields: Mapping[str, Any] = NO_FIELDS) -> None:
        """`fields` of the answer's row go into the result too."""
        ...

    def commit(self) -> DataFile | None:
        """Complete the file; return {"uri", "rows", "bytes", "sha256"}. Where nothing was added: None, and no file."""
        ...


def open_results(
    uri_without_suffix: str,
    format_: Format,
    provenance: Mapping[str, str],
    field_types: Mapping[str, FieldType] = NO_FIELDS,
    value_types: Mapping[str, FieldType] = NO_FIELDS,
) -> ResultFile:
    """Return a writer for results; the suffix of the URI is the format.

    `provenance` becomes columns of a Parquet file; for JSON Lines the manifest has the provenance.
    `field_types` are the fields that results have from their rows, `value_types` the columns of answers with an output
    schema.
    """
    if format_ == "parquet":
        return Parquet(f"{uri_without_suffix}.parquet", provenance, field_types, value_types)
    return JsonLines(f"{uri_without_suffix}.jsonl")
