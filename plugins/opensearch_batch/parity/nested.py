"""Nested vectors: where a document has many, a query asks its nested objects, and the best of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearch_batch.dotted import value_at
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection


def path_of_chunks(spec: BatchSpec, section: WriteBackSection) -> str:
    """Return the path of the nested field; "" where a document has one vector."""
    return section.chunks_field if spec.input.chunks else ""


def nested_query(path: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query of vectors as one of documents."""
    return {"nested": {"path": path, "score_mode": "max", "query": query}} if path else dict(query)


def chunks_at(source: Mapping[str, Any], path: str) -> list[Any]:
    """Return a document's chunks; a single object may stand there without its list."""
    found = value_at(source, path)
    return found if isinstance(found, list) else [found] if found else []
