"""Changed documents: of the documents of an index those whose text has no vector yet, or a vector of another text or
another model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from opensearch_batch.cluster.documents import count_documents
from opensearch_batch.dotted import value_at
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.text_hash import model_hash, text_hash
from opensearch_batch.sources.checkpoint import question_of, read_checkpoint
from opensearch_batch.sources.columns import leaves_of
from opensearch_batch.sources.index_rows import DOCUMENT, IndexSource, open_index
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.rows import Row
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection


class ChangedDocuments:
    """The documents to send. Of the others, `unchanged` have the vector of their text, `empty` have no text."""

    def __init__(self, source: IndexSource, spec: BatchSpec) -> None:
        self._source, self._read = source, spec.input
        model = spec.model
        self._model = model_hash(model.provider, model.name, model.endpoint, model.parameters)
        self._hash_field = spec.write_back.hash_field if spec.write_back else None
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

    def with_vectors_of_others(self, section: WriteBackSection, model: str) -> int:
        """Count the documents that have a vector of another model than this."""
        field = f"{section.provenance}.model"
        others = {"bool": {"filter": [{"exists": {"field": field}}], "must_not": [{"term": {field: model}}]}}
        send = self._source.send
        return sum(send(count_documents(state.index, others)) for state in self.states)

    def rows(self) -> Generator[Row, None, None]:
        """Yield the rows to send, each with the text's hash in its document, and rows that cannot be sent: the records
        name these.
        """
        read = self._read
        for row in self._source.rows(self._after):
            if read.prompt is None and _is_empty(row.fields.get(read.text_field)):
                self.empty += 1
                continue
            with suppress(WrongRow):
                hashed = text_hash(self._model, text_of(row.fields, read.text_field, read.prompt))
                if self._hash_field and value_at(row.fields, self._hash_field) == hashed:
                    self.unchanged += 1
                    continue
                row.fields[DOCUMENT]["text_hash"] = hashed
            yield row


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
