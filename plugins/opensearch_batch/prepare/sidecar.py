"""The sidecar index, made where a spec names one and there is none."""

from __future__ import annotations

import logging

from opensearch_batch.cluster import documents
from opensearch_batch.errors import BatchError
from opensearch_batch.flow.provenance import MAPPING
from opensearch_batch.sources.index_rows import address_of
from opensearch_batch.spec import BatchSpec

log = logging.getLogger(__name__)

NOT_FOUND = 404


def make_sidecar(spec: BatchSpec) -> None:
    """Repeating is safe. An index of that name stays as it is; whether it is a sidecar is asked at reading."""
    from opensearch_batch.cluster.hook import MLCommonsHook

    if spec.write_back is None or not spec.write_back.provenance_index:
        return
    name = spec.write_back.provenance_index
    send = MLCommonsHook(address_of(spec.input.uri)[0]).send
    try:
        send(documents.describe_indices(name))
        return
    except BatchError as error:
        if error.status != NOT_FOUND:
            raise
    try:
        send(documents.create_index(name, {"mappings": MAPPING}))
    except BatchError as error:
        if "resource_already_exists_exception" not in str(error):
            raise
    log.info("made the index %s for the provenance of vectors", name)
