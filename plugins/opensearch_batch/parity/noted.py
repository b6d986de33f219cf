"""Documents whose provenance lies in a sidecar, as if it lay in them: with the hash of their vector's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearch_batch.dotted import with_dotted
from opensearch_batch.flow.documents import DocumentVersion
from opensearch_batch.sources.index_rows import Send, read_states
from opensearch_batch.sources.sidecar import Sidecar, open_sidecar
from opensearch_batch.write_back_section import WriteBackSection


def sidecar_of(send: Send, section: WriteBackSection, indices: Sequence[str]) -> Sidecar | None:
    """Return the sidecar of a spec, for these indices; None where the provenance lies in the documents."""
    if section.provenance_index is None:
        return None
    return open_sidecar(send, section.provenance_index, section.vector_field, [*read_states(send, indices)])


def with_noted_hashes(
    hits: Sequence[Mapping[str, Any]], sidecar: Sidecar, section: WriteBackSection
) -> list[dict[str, Any]]:
    """`hits` have _index, _id, _routing, _seq_no and _primary_term."""
    hashes = sidecar.text_hashes([_version(hit) for hit in hits])
    return [
        {**hit, "_source": with_dotted(dict(hit.get("_source") or {}), {section.hash_field: noted})}
        for hit, noted in zip(hits, hashes, strict=True)
    ]


def _version(hit: Mapping[str, Any]) -> DocumentVersion:
    return DocumentVersion(
        index=hit["_index"],
        id=hit["_id"],
        routing=hit.get("_routing"),
        seq_no=hit["_seq_no"],
        primary_term=hit["_primary_term"],
    )
