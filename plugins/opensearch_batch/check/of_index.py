"""Of the index that vectors go into: whether its space type suits the model, and whether a new index can be made. What
else is in the way the plan says, which reads the index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearch_batch import providers
from opensearch_batch.beside.making import refuse_unmakable, vector_field
from opensearch_batch.check.lines import CannotKnow, Check
from opensearch_batch.cluster.described import described
from opensearch_batch.prepare.index_mapping import field_at
from opensearch_batch.prepare.vector_lengths import Send, lengths_in
from opensearch_batch.prepare.vector_space import created_by, doubt, fitting
from opensearch_batch.sources.index_rows import address_of
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import cluster
from opensearch_batch.write_back_section import WriteBackSection


def index_checks(spec: BatchSpec, partition: str | None) -> list[Check]:
    """Empty for a spec that writes no vectors into an index."""
    section = spec.write_back
    return [Check(f"space of {section.vector_field}", lambda: _spaces(spec, section, partition))] if section else []


def _spaces(spec: BatchSpec, section: WriteBackSection, partition: str | None) -> str:
    """A line for each index. Raise SpecError, CannotKnow for a space that may not suit the model, BatchError."""
    connection, name = address_of(spec.resolve(partition=partition or "any", run_id="check").input.uri)
    send = cluster(connection)
    found = {index: _space(send, index, about, spec, section) for index, about in described(send, name).items()}
    if not found:
        raise CannotKnow("there is no such index")
    said = "\n".join(line for line, _ in found.values())
    if any(is_in_doubt for _, is_in_doubt in found.values()):
        raise CannotKnow(said)
    return said


def _space(
    send: Send, index: str, about: Mapping[str, Any], spec: BatchSpec, section: WriteBackSection
) -> tuple[str, bool]:
    """Return what is to be said, and whether there is a doubt."""
    name, settings = f"{index}: {section.vector_field!r}", about["settings"]["index"]
    field = field_at(about["mappings"], section.vector_field)
    if section.is_beside:
        asked = providers.get(spec.model.provider).asked(spec.model.name, spec.model.endpoint, spec.model.parameters)
        refuse_unmakable(index, about, section, asked.dimensions, created_by(settings))
        name, field = f"the index beside {index}", vector_field(about["mappings"], section, asked.dimensions or 1)
    if field is None:
        return f"{name} is not there yet; the plan says how to make it", True
    lengths = None if section.is_beside else lengths_in(send, index, spec, section)
    said = doubt(name, field, settings, lengths)
    return (said, True) if said else (fitting(name, field, settings, lengths), False)
