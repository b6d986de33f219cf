"""Provenance: which documents have the vector of their text, as it is noted in the documents themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from opensearch_batch.cluster.documents import count_documents
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.dotted import value_at
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.rows import Row
from opensearch_batch.write_back_section import WriteBackSection

Send = Callable[[Call], Any]


class Provenance(Protocol):
    """Where it is noted of what a vector was made."""

    AT_ONCE: int
    """Rows to ask for at once."""

    def have_vectors(self, rows: Sequence[Row], hashes: Sequence[str]) -> list[bool]:
        """Whether each document has the vector of a text with this hash."""

    def written_by(self, run: str) -> int:
        """Count the documents with a vector that a run has written."""

    def with_vectors_of_others(self, model: str) -> int:
        """Count the documents that have a vector of another model than this, or of one that nobody noted."""


class InDocuments:
    """Provenance in a field of the documents."""

    AT_ONCE = 1

    def __init__(self, send: Send, states: Sequence[IndexState], section: WriteBackSection, *, nested: bool) -> None:
        self._send, self._states, self._section = send, states, section
        self._has_vector = has_vector(section, nested=nested)

    def have_vectors(self, rows: Sequence[Row], hashes: Sequence[str]) -> list[bool]:
        field = self._section.hash_field
        return [value_at(row.fields, field) == made_of for row, made_of in zip(rows, hashes, strict=True)]

    def written_by(self, run: str) -> int:
        return self._count({"term": {f"{self._section.provenance}.run": run}})

    def with_vectors_of_others(self, model: str) -> int:
        field = f"{self._section.provenance}.model"
        named = {"exists": {"field": field}}
        of_another = {"bool": {"filter": [named], "must_not": [{"term": {field: model}}]}}
        of_nobody = {"bool": {"filter": [self._has_vector], "must_not": [named]}}
        return self._count({"bool": {"should": [of_another, of_nobody]}})

    def _count(self, query: dict[str, Any]) -> int:
        return sum(self._send(count_documents(state.index, query)) for state in self._states)


def has_vector(section: WriteBackSection, *, nested: bool) -> dict[str, Any]:
    """The query of documents with a vector; nested objects are asked for by their own query."""
    exists = {"exists": {"field": section.vector_field}}
    return {"nested": {"path": section.chunks_field, "query": exists}} if nested else exists
