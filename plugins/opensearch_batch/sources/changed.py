"""Changed documents: of the documents of an index those whose text has no vector yet, or a vector of another text or
another model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, Self

from opensearch_batch.cluster.described import mapping_limit
from opensearch_batch.dotted import value_at
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.sources.checkpoint import question_of, read_checkpoint
from opensearch_batch.sources.columns import image_leaves_of, leaves_of, text_leaves_of
from opensearch_batch.sources.document_text import filled_in
from opensearch_batch.sources.hashed import TEXT_HASH, hash_of_documents
from opensearch_batch.sources.index_rows import DOCUMENT, ID, IndexSource, Send, characters_in, open_index
from opensearch_batch.sources.parents import AT_ONCE, Parents
from opensearch_batch.sources.provenance import InDocuments, Provenance, has_vector
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.rows import BadRow, Row
from opensearch_batch.sources.sidecar import InSidecar, Sidecar, open_sidecar
from opensearch_batch.sources.templates import wording_of
from opensearch_batch.spec import BatchSpec

MOST_CHARACTERS = 4 << 20
"""Of the texts of rows whose provenance is asked for at once."""


class ChangedDocuments:
    """The documents to send. Of the others, `unchanged` have the vector of their text, `empty` have no text.

    `provenance` tells of their vectors; None where the spec writes none back.
    """

    def __init__(self, source: IndexSource, spec: BatchSpec) -> None:
        self._source, self._read = source, spec.input
        self._model = hash_of_documents(spec)
        self._texts, self._images = text_leaves_of(spec), image_leaves_of(spec)
        back = spec.write_back
        sidecar: Sidecar | None = None
        if back and back.provenance_index:
            sidecar = open_sidecar(source.send, back.provenance_index, back.vector_field, source.states)
        self.question = question_of(
            spec,
            source.queries,
            sidecar.uuid if sidecar else None,
            [mapping_limit(about, "nested_objects") for about in source.described.values()],
        )
        self._after = read_checkpoint(spec, self.question)
        self.provenance: Provenance | None = None
        if back and not (spec.dry_run and back.is_beside):  # a plan of an index without vectors
            nested = spec.input.chunks is not None
            if sidecar:
                self.provenance = InSidecar(sidecar, source, self._after, has_vector(back, nested=nested))
            else:
                self.provenance = InDocuments(source, back, nested=nested)
        self._noted = back.hash_field if back and not back.provenance_index else ""
        self._parents = Parents(back, has_chunks=spec.input.chunks is not None) if back else None
        self.unchanged = self.empty = 0

    @classmethod
    def of(cls, spec: BatchSpec) -> Self:
        """Look at the index of input.uri. Raise InputError for an index that is not there, and SpecError where nothing
        of a document is asked for: none would count as one with a text.
        """
        if not (text_leaves_of(spec) or image_leaves_of(spec)):
            raise SpecError(
                f"input.{'prompt' if spec.input.template is None else 'template'} names no field, so no document of "
                f"{spec.input.uri} has a text: name its fields"
            )
        query = spec.input.query if isinstance(spec.input.query, dict) else None
        return cls(open_index(spec.input.uri, query, leaves_of(spec)), spec)

    @property
    def send(self) -> Send:
        """To the index's cluster."""
        return self._source.send

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

    def rows(self) -> Generator[Row | BadRow, None, None]:
        """Yield the rows to send, each with its text's hash, and rows that cannot be sent."""
        with closing(self._source.rows(self._after)) as rows:
            for some in _batches(self._hashed(rows), self._at_once):
                yield from self._without_unchanged(some)

    @property
    def _at_once(self) -> int:
        at_once = self.provenance.AT_ONCE if self.provenance else 1
        return max(at_once, AT_ONCE) if self._parents and self._parents.fields else at_once

    def _without_unchanged(self, rows: Sequence[Row | BadRow | None]) -> Iterator[Row | BadRow]:
        """None is a row without a text. A row counts when it is come to: the caller may take no more."""
        asked = [row for row in rows if isinstance(row, Row) and TEXT_HASH in row.fields] if self.provenance else []
        hashes = [row.fields[TEXT_HASH] for row in asked]
        there = self.provenance.have_vectors(asked, hashes) if self.provenance and asked else []
        unchanged = {id(row) for row, has in zip(asked, there, strict=True) if has}
        to_send = [row for row in rows if isinstance(row, Row) and id(row) not in unchanged]
        reasons = self._parents.wrong_of(to_send, self.send) if self._parents else [None] * len(to_send)
        wrong = {id(row): reason for row, reason in zip(to_send, reasons, strict=True) if reason}
        for row in rows:
            if row is None:
                self.empty += 1
            elif id(row) in unchanged:
                self.unchanged += 1
            elif isinstance(row, Row) and (reason := wrong.get(id(row))):
                yield BadRow(row.place, reason, row.fields[ID])
            else:
                yield row

    def _hashed(self, rows: Iterable[Row]) -> Iterator[Row | BadRow | None]:
        """Yield the rows as they are sent, each with its text's hash; None for each without a text."""
        read, wording = self._read, wording_of(self._read)
        for row in rows:
            if self._noted and isinstance(had := value_at(row.fields, self._noted), str):
                row.fields[DOCUMENT]["had"] = had
            made = self._with_texts(row)
            if isinstance(made, Row):
                with suppress(WrongRow):
                    made.fields[TEXT_HASH] = text_hash(self._model, text_of(made.fields, read.text_field, wording))
            yield made

    def _with_texts(self, row: Row) -> Row | BadRow | None:
        """Return the row with all fields of its text, None where none has a text, a BadRow where one holds no text."""
        try:
            filled = filled_in(row.fields, self._texts, self._images)
        except WrongRow as wrong:
            return BadRow(row.place, str(wrong), row.fields[ID])
        return None if filled is None else Row(filled, row.place)


def _batches(rows: Iterable[Row | BadRow | None], most: int) -> Iterator[list[Row | BadRow | None]]:
    """Not more rows than `most`, and not many with long texts."""
    batch: list[Row | BadRow | None] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += characters_in(row.fields) if isinstance(row, Row) else 0
        if len(batch) >= most or characters >= MOST_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
