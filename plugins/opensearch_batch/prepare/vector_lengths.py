"""Lengths of the vectors that an index has of a model, read from a few documents; nothing is asked of the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.dotted import value_at
from opensearch_batch.prepare.index_mapping import Described, field_at
from opensearch_batch.prepare.vector_space import BY_ANGLE, Lengths, doubt, lengths_of, space_of
from opensearch_batch.sources.provenance import has_vector
from opensearch_batch.spec import BatchSpec
from opensearch_batch.write_back_section import WriteBackSection

log = logging.getLogger(__name__)

LOOKED_AT, WITH_CHUNKS_LOOKED_AT = 20, 5
"""Documents, whose vectors come with them, all of them where they have chunks."""

Send = Callable[[Call], Any]


def say_doubts(send: Send, described: Described, spec: BatchSpec, section: WriteBackSection) -> None:
    """Say in the log where an index's space may not suit the model, with the lengths of the vectors that are there."""
    for index, about in described.items():
        field, settings = field_at(about["mappings"], section.vector_field), about["settings"]["index"]
        if field is None or space_of(field, settings) == BY_ANGLE:
            continue
        lengths = lengths_in(send, index, spec, section)
        if said := doubt(f"{index}: {section.vector_field!r}", field, settings, lengths):
            log.log(logging.WARNING if lengths else logging.INFO, "%s", said)


def lengths_in(send: Send, index: str, spec: BatchSpec, section: WriteBackSection) -> Lengths | None:
    """Return the lengths of some vectors of the spec's model; None where the index has none. Raise BatchError."""
    nested = spec.input.chunks is not None
    wanted: list[Mapping[str, Any]] = [has_vector(section, nested=nested)]
    if not section.provenance_index:
        wanted.append({"term": {f"{section.provenance}.model": spec.model.name}})
    body = {
        "query": {"bool": {"filter": wanted}},
        "size": WITH_CHUNKS_LOOKED_AT if nested else LOOKED_AT,
        "_source": [section.vector_field],
        "track_total_hits": False,
    }
    hits = send(documents.search_documents(index, body)).hits
    return lengths_of(vector for hit in hits for vector in _vectors(hit.get("_source") or {}, section, nested=nested))


def _vectors(source: Mapping[str, Any], section: WriteBackSection, *, nested: bool) -> Iterator[list[float]]:
    path = section.chunks_field if nested else ""
    found = value_at(source, path) if nested else source
    leaf = section.vector_field.removeprefix(f"{path}.")
    for each in found if isinstance(found, list) else [found or {}]:
        if isinstance(vector := value_at(each, leaf), list):
            yield vector
