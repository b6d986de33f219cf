"""Provenance: which documents have the vector of their text, as it is noted in the documents themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from opensearch_batch.cluster.described import result_window
from opensearch_batch.cluster.documents import count_documents, search_primaries
from opensearch_batch.dotted import value_at
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.index_rows import DOCUMENT, IndexSource
from opensearch_batch.sources.rows import Row
from opensearch_batch.write_back_section import WriteBackSection

Key = tuple[str, str, str | None]
"""Index, id and routing of a document."""


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
    """Provenance in a field of the documents. It may outlive the vector: `_reindex` without the large field, and a
    vector set to null, leave it behind.
    """

    AT_ONCE = 500

    def __init__(self, source: IndexSource, section: WriteBackSection, *, nested: bool) -> None:
        self._source, self._section = source, section
        self._has_vector = has_vector(section, nested=nested)

    def have_vectors(self, rows: Sequence[Row], hashes: Sequence[str]) -> list[bool]:
        field = self._section.hash_field
        noted = [value_at(row.fields, field) == made_of for row, made_of in zip(rows, hashes, strict=True)]
        asked = [_key(row.fields[DOCUMENT]) for row, is_noted in zip(rows, noted, strict=True) if is_noted]
        there = {key for state in self._source.states for key in self._with_vector(state, asked)}
        return [is_noted and _key(row.fields[DOCUMENT]) in there for row, is_noted in zip(rows, noted, strict=True)]

    def _with_vector(self, state: IndexState, asked: Iterable[Key]) -> Iterator[Key]:
        """Yield the documents of an index that have a vector, of those asked for and others of the same ids: each
        shard may have one.
        """
        names = sorted({name for index, name, _ in asked if index == state.index})
        window, shards = result_window(self._source.described[state.index]), len(state.checkpoints)
        at_once = max(1, window // shards)
        for begin in range(0, len(names), at_once):
            some = {"ids": {"values": names[begin : begin + at_once]}}
            body = {"query": {"bool": {"filter": [some, self._has_vector]}}, "_source": False}
            size = min(window, at_once * shards, len(names) * shards)
            page = self._source.send(search_primaries(state.index, {**body, "size": size, "track_total_hits": False}))
            yield from ((state.index, hit["_id"], hit.get("_routing")) for hit in page.hits)

    def written_by(self, run: str) -> int:
        return self._count({"term": {f"{self._section.provenance}.run": run}})

    def with_vectors_of_others(self, model: str) -> int:
        field = f"{self._section.provenance}.model"
        named = {"exists": {"field": field}}
        of_another = {"bool": {"filter": [named], "must_not": [{"term": {field: model}}]}}
        of_nobody = {"bool": {"filter": [self._has_vector], "must_not": [named]}}
        return self._count({"bool": {"should": [of_another, of_nobody]}})

    def _count(self, query: dict[str, Any]) -> int:
        return sum(self._source.send(count_documents(state.index, query)) for state in self._source.states)


def _key(document: Mapping[str, Any]) -> Key:
    return document["index"], document["id"], document.get("routing")


def has_vector(section: WriteBackSection, *, nested: bool) -> dict[str, Any]:
    """The query of documents with a vector; nested objects are asked for by their own query."""
    exists = {"exists": {"field": section.vector_field}}
    return {"nested": {"path": section.chunks_field, "query": exists}} if nested else exists
