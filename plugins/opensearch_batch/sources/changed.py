"""Changed documents: of the documents of an index those whose text has no vector yet, or a vector of another text or
another model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Self

from opensearch_batch.cluster.documents import count_documents
from opensearch_batch.dotted import value_at
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.sources.checkpoint import question_of, read_checkpoint
from opensearch_batch.sources.columns import leaves_of, text_leaves_of
from opensearch_batch.sources.document_text import filled_in
from opensearch_batch.sources.hashed import TEXT_HASH, hash_of_documents
from opensearch_batch.sources.index_rows import ID, IndexSource, open_index
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.rows import BadRow, Row
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection


class ChangedDocuments:
    """The documents to send. Of the others, `unchanged` have the vector of their text, `empty` have no text."""

    def __init__(self, source: IndexSource, spec: BatchSpec) -> None:
        self._source, self._read = source, spec.input
        self._model = hash_of_documents(spec)
        self._texts = text_leaves_of(spec)
        is_plan = (
            spec.dry_run and spec.write_back is not None and spec.write_back.is_beside
        )  # of an index without vectors
        self._hash_field = spec.write_back.hash_field if spec.write_back and not is_plan else None
        self.question = question_of(spec, source.queries)
        self._after = read_checkpoint(spec, self.question)
        self.unchanged = self.empty = 0

    @classmethod
    def of(cls, spec: BatchSpec) -> Self:
        """Look at the index of input.uri. Raise InputError for an index that is not there."""
        query = spec.input.query if isinstance(spec.input.query, dict) else None
        return cls(open_index(spec.input.uri, query, leaves_of(spec)), spec)

    @property
    def described(self) -> Mapping[str, Mapping[str, Any]]:
        """Of each index: aliases, mappings and settings."""
        return self._source.described

    @property
    def fields(self) -> Sequence[str]:
        return self._source.fields

    @property
    def states(self) -> tuple[IndexState, ...]:
        return self._source.states

    def written_by(self, section: WriteBackSection, run: str) -> int:
        """Count the documents with a vector that this run has written."""
        query = {"term": {f"{section.provenance}.run": run}}
        return sum(self._source.send(count_documents(state.index, query)) for state in self.states)

    def with_vectors_of_others(self, section: WriteBackSection, model: str) -> int:
        """Count the documents that have a vector of another model than this, or of one that nobody noted."""
        named = {"exists": {"field": f"{section.provenance}.model"}}
        of_another = {"bool": {"filter": [named], "must_not": [{"term": {f"{section.provenance}.model": model}}]}}
        of_nobody = {"bool": {"filter": [self._has_a_vector(section)], "must_not": [named]}}
        others = {"bool": {"should": [of_another, of_nobody]}}
        send = self._source.send
        return sum(send(count_documents(state.index, others)) for state in self.states)

    def _has_a_vector(self, section: WriteBackSection) -> dict[str, Any]:
        """The query of documents with a vector; nested objects are asked for by their own query."""
        exists = {"exists": {"field": section.vector_field}}
        if self._read.chunks is None:
            return exists
        return {"nested": {"path": section.chunks_field, "query": exists}}

    def rows(self) -> Generator[Row | BadRow, None, None]:
        """Yield the rows to send, each with its text's hash, and rows that cannot be sent."""
        with closing(self._source.rows(self._after)) as rows:
            for row in rows:
                if (made := self._to_send(row)) is not None:
                    yield made

    def _to_send(self, row: Row) -> Row | BadRow | None:
        """Return the row as it is sent; None for one that is counted as unchanged, or as empty."""
        read = self._read
        made = self._with_texts(row)
        if made is None:
            self.empty += 1
        if not isinstance(made, Row):
            return made
        with suppress(WrongRow):
            hashed = text_hash(self._model, text_of(made.fields, read.text_field, read.prompt))
            if self._hash_field and value_at(made.fields, self._hash_field) == hashed:
                self.unchanged += 1
                return None
            made.fields[TEXT_HASH] = hashed
        return made

    def _with_texts(self, row: Row) -> Row | BadRow | None:
        """Return the row with all fields of its text, None where none has a text, a BadRow where one holds no text."""
        try:
            filled = filled_in(row.fields, self._texts)
        except WrongRow as wrong:
            return BadRow(row.place, str(wrong), row.fields[ID])
        return None if filled is None else Row(filled, row.place)
