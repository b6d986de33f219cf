"""The sidecar index, made where a spec names one and there is none."""

from __future__ import annotations

import logging

from opensearch_batch.cluster import documents, indices
from opensearch_batch.cluster.described import About, described
from opensearch_batch.errors import BatchError, SpecError
from opensearch_batch.flow.provenance import MAPPING
from opensearch_batch.sources.index_rows import address_of
from opensearch_batch.sources.sidecar import not_a_sidecar
from opensearch_batch.spec import BatchSpec

log = logging.getLogger(__name__)


def make_sidecar(spec: BatchSpec) -> None:
    """Repeating is safe. An index of that name stays as it is; whether it is a sidecar is asked at reading.

    Raise SpecError where an index template makes another index of it; that one is deleted again.
    """
    from opensearch_batch.cluster.hook import MLCommonsHook

    if spec.write_back is None or not spec.write_back.provenance_index:
        return
    name = spec.write_back.provenance_index
    send = MLCommonsHook(address_of(spec.input.uri)[0]).send
    if described(send, name):
        return
    try:
        send(documents.create_index(name, {"mappings": MAPPING}))
    except BatchError as error:
        if "resource_already_exists_exception" not in str(error):
            raise
        return
    made = described(send, name)
    if made and (wrong := not_a_sidecar(name, made) or _aliases(made[name])):
        send(indices.delete_index(name))
        raise SpecError(
            f"write_back.provenance_index: {name} was made, and {wrong}: an index template gives that. It is deleted "
            "again. Name an index that no pattern of your templates fits"
        )
    log.info("made the index %s for the provenance of vectors", name)


def _aliases(about: About) -> str:
    """An alias would show its entries to searches of documents."""
    return f"has the alias {', '.join(sorted(about['aliases']))}" if about["aliases"] else ""
