"""Libraries: what a run of a spec imports later, asked for before anything is paid."""

from __future__ import annotations

from opensearch_batch import providers
from opensearch_batch.prepare import chunks
from opensearch_batch.providers.store import store_class
from opensearch_batch.reuse import entries
from opensearch_batch.sinks import formats
from opensearch_batch.spec import BatchSpec


def require_libraries(spec: BatchSpec) -> None:
    """Raise SpecError, naming the extra of the wheel, where a library is not installed."""
    store_class(providers.get(spec.model.provider)).require_libraries()
    formats.require_libraries(spec.output.format)
    if spec.reuse:
        entries.require_libraries()
    if spec.input.chunks:
        chunks.require_libraries()
