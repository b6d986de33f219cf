"""DataFile: a file of rows at the output or the work URI, as manifests name files."""

from __future__ import annotations

from typing import Literal

from opensearch_batch.flow.values import Value

Format = Literal["jsonl", "parquet"]
"""Formats of results."""


class DataFile(Value, frozen=True):
    """`rows`, `bytes` and `sha256` are of the whole file at `uri`."""

    uri: str
    rows: int
    bytes: int
    sha256: str
