"""Reread: the text that a document has now, which was written since a run has read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from opensearch_batch.sources.document_text import DocumentTexts
from opensearch_batch.sources.parents import Parents
from opensearch_batch.sources.records import WrongRow
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection


class Reread:
    """How a run of a spec reads a document again; its template is read when the first document is."""

    def __init__(self, spec: BatchSpec, section: WriteBackSection) -> None:
        self._spec = spec
        self._parents = Parents(section, has_chunks=spec.input.chunks is not None)

    @cached_property
    def _texts(self) -> DocumentTexts:
        return DocumentTexts(self._spec)

    @property
    def fields(self) -> Sequence[str]:
        """Dotted paths of what has to be read of a document."""
        return [*self._texts.leaves, *self._parents.fields]

    def text_hash(self, source: Mapping[str, Any]) -> str | None:
        """Return the hash of a document's text; None where the document has no text, or no place for a vector."""
        if self._parents.wrong_in(source) is not None:
            return None
        try:
            return self._texts.of(source)[1]
        except WrongRow:
            return None
