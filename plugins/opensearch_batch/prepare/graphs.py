"""Graphs: the bytes that vectors take in memory and on disk, by their field's mapping. No I/O.

Formulas: https://docs.opensearch.org/latest/mappings/supported-field-types/knn-methods-engines/ (memory estimation) and
https://docs.opensearch.org/latest/vector-search/optimizing-storage/knn-vector-quantization/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_M = 16
OVERHEAD = 1.1
ON_DISK_COMPRESSION = 32
"""Of mode on_disk where no compression_level is named."""
SOURCE_BYTES_A_NUMBER = 12
"""Of a vector's text in _source, where the index does not derive it: the shortest text of a float, and a comma."""
LUCENE = "lucene"


@dataclass(frozen=True)
class VectorField:
    """What the size of a field's graphs hangs on. `compression` is None where no formula is known."""

    dimension: int
    engine: str
    method: str = "hnsw"
    m: int = DEFAULT_M
    lists: int = 0
    compression: int | None = 1

    @property
    def is_native(self) -> bool:
        """Whether k-NN keeps the graphs in memory of its own, below knn.memory.circuit_breaker.limit. Lucene's are
        files, which the operating system caches.
        """
        return self.engine != LUCENE

    def memory(self, vectors: int) -> int | None:
        """Bytes of the graphs of so many vectors; None where no formula is known."""
        if self.compression is None:
            return None
        stored = 4 * self.dimension / self.compression
        if self.method == "ivf":
            return int(OVERHEAD * (stored * vectors + 4 * self.lists * self.dimension))
        return int(OVERHEAD * (stored + 8 * self.m) * vectors)

    def disk(self, vectors: int, *, is_derived: bool) -> int:
        """Bytes of files for so many vectors; native engines keep the vectors a second time, in the graphs' files."""
        text = 0 if is_derived else SOURCE_BYTES_A_NUMBER * self.dimension
        graphs = self.memory(1) or 4 * self.dimension
        beside = graphs if self.is_native else 8 * self.m
        return (4 * self.dimension + beside + text) * vectors


def vector_field(mapping: Mapping[str, Any]) -> VectorField | None:
    """Read a knn_vector field's mapping; None without a dimension (a trained model knows it)."""
    if (dimension := mapping.get("dimension")) is None:
        return None
    method = mapping.get("method") or {}
    parameters = method.get("parameters") or {}
    return VectorField(
        int(dimension),
        str(method.get("engine") or mapping.get("engine") or "faiss"),
        str(method.get("name") or "hnsw"),
        int(parameters.get("m", DEFAULT_M)),
        int(parameters.get("nlist", 4)),
        _compression(mapping, parameters.get("encoder") or {}),
    )


def _compression(mapping: Mapping[str, Any], encoder: Mapping[str, Any]) -> int | None:
    if level := mapping.get("compression_level"):
        return int(str(level).removesuffix("x"))
    if mapping.get("mode") == "on_disk":
        return ON_DISK_COMPRESSION
    name, parameters = encoder.get("name", "flat"), encoder.get("parameters") or {}
    if name == "flat":
        return 1
    if name == "sq" and parameters.get("type", "fp16") == "fp16":
        return 2
    if name == "binary":
        return 32 // int(parameters.get("bits", 1))
    return None
