"""The rows of an input, whatever it is: objects of one format, compressed or not, or a query."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import IO

from opensearch_batch.errors import InputError
from opensearch_batch.input_section import InputFormat, InputSection
from opensearch_batch.sources.columns import columns_of
from opensearch_batch.sources.compression import SUFFIXES, decompressed
from opensearch_batch.sources.csv_rows import csv_rows
from opensearch_batch.sources.json_lines import json_rows
from opensearch_batch.sources.parquet_rows import MAGIC, parquet_rows
from opensearch_batch.sources.rows import BadRow, Row
from opensearch_batch.sources.sql_rows import SCHEME, sql_rows
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import begin_of, lines_of, matches, open_binary

Rows = Iterator[Row | BadRow]

BY_SUFFIX: dict[str, InputFormat] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}


def read_rows(spec: BatchSpec) -> Generator[Row | BadRow, None, None]:
    """Yield the rows in order: of a glob the objects by name, of an object or a query as they come.

    Raise InputError for what cannot be read at all, Unavailable for a source that breaks off.
    """
    read, wanted = spec.input, columns_of(spec)
    if read.uri.startswith(SCHEME) and isinstance(read.query, str):
        with closing(sql_rows(read.uri, read.query, wanted)) as rows:
            yield from rows
        return
    for name in matches(read.uri):
        with open_binary(name) as source:
            yield from _object_rows(source, name, read, wanted)


def format_by_name(name: str) -> InputFormat:
    """JSON Lines, unless the name ends otherwise; the ending of a compression does not count."""
    plain = _without_compression(name)
    return next((format_ for suffix, format_ in BY_SUFFIX.items() if plain.endswith(suffix)), "jsonl")


def _without_compression(name: str) -> str:
    lower = name.lower()
    return next((lower.removesuffix(suffix) for suffix in SUFFIXES if lower.endswith(suffix)), lower)


def _object_rows(source: IO[bytes], name: str, read: InputSection, wanted: Sequence[str]) -> Rows:
    format_ = read.format or format_by_name(name)
    if format_ == "parquet":
        yield from parquet_rows(source, name, wanted)
        return
    if begin_of(source, name, len(MAGIC)) == MAGIC:
        raise InputError(f"{name} is Parquet; say input.format: parquet, or let its name end in .parquet")
    with decompressed(source, name) as content:
        lines = lines_of(content, name)
        if format_ == "csv":
            tabbed = _without_compression(name).endswith(".tsv")
            yield from csv_rows(lines, name, read.delimiter or ("\t" if tabbed else ","), wanted)
        else:
            yield from json_rows(lines)
