"""The documents of an index as the input of a run, once the index is found to take what the run brings back."""

from __future__ import annotations

from opensearch_batch.errors import SpecError, Terminal
from opensearch_batch.flow.asked import Asked
from opensearch_batch.prepare.chunk_mapping import refuse_chunks
from opensearch_batch.prepare.index_mapping import (
    refuse_mixed,
    refuse_too_long,
    refuse_unreadable,
    refuse_unwritable,
)
from opensearch_batch.prepare.sidecar import make_sidecar
from opensearch_batch.prepare.vector_lengths import say_doubts
from opensearch_batch.sources.changed import ChangedDocuments
from opensearch_batch.spec import BatchSpec


def judged_documents(spec: BatchSpec, asked: Asked, flow_name: str) -> ChangedDocuments:
    """Raise SpecError for an index that cannot be read or written as the spec says."""
    if not spec.dry_run:
        make_sidecar(spec)
    documents = ChangedDocuments.of(spec)
    refuse_unreadable(documents.described, documents.fields)
    if spec.write_back and documents.provenance:
        if asked.vectors is False:
            raise SpecError(f"write_back takes vectors, and {spec.model.endpoint} answers with text")
        refuse_too_long(spec.write_back, asked.dimensions)
        if chunks := spec.input.chunks:
            refuse_chunks(documents.described, spec.write_back, asked.dimensions, keep_text=chunks.keep_text)
        has_chunks = spec.input.chunks is not None
        refuse_unwritable(documents.described, spec.write_back, asked.dimensions, has_chunks=has_chunks)
        say_doubts(documents.send, documents.described, spec, spec.write_back)
        if flow_name and not spec.dry_run and (before := documents.provenance.written_by(flow_name)):
            raise Terminal(
                f"this run has written {before} vectors into {spec.input.uri} before, or was about to, so its input "
                "cannot be prepared again. Start a new run: it sends only what has no vector yet. Or clear write_back "
                "alone."
            )
        if spec.write_back.on_model_change == "error":
            others = documents.provenance.with_vectors_of_others(spec.model.name)
            refuse_mixed(spec.input.uri, others, spec.model.name)
    return documents
