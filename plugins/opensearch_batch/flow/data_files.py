"""DataFile: a file of rows at the output or the work URI, as manifests name files."""

from __future__ import annotations

from opensearch_batch.flow.values import Value


class DataFile(Value, frozen=True):
    """`rows` and `bytes` count the whole file at `uri`; `sha256` is of its bytes."""

    uri: str
    rows: int
    bytes: int
    sha256: str
