"""The new index: made after the alias's index, with a vector field for this model, and found again by a later try."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from opensearch_batch.beside.aliased import the_index
from opensearch_batch.beside.notes import note_of, with_note
from opensearch_batch.beside.room import refuse_no_room
from opensearch_batch.chunk_section import ChunkSection
from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import About, Send, described
from opensearch_batch.dotted import value_at
from opensearch_batch.errors import BatchError, Refused, SpecError, Unavailable
from opensearch_batch.flow.beside import IndexNote, Made, NewIndex
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.prepare.chunk_mapping import chunk_fields, refuse_flat
from opensearch_batch.prepare.index_mapping import PROVENANCE, field_at, refuse_too_long, unfit_parents
from opensearch_batch.prepare.index_state import wrong_kind
from opensearch_batch.prepare.vector_space import METHOD, created_by, engine_of, method_line, refusals
from opensearch_batch.sources.index_rows import read_states
from opensearch_batch.write_back_section import WriteBackSection

PRIVATE = frozenset(
    {"uuid", "creation_date", "creation_date_string", "provided_name", "version", "history", "resize", "remote_store"}
)
"""Settings that the server writes."""
OF_THE_OLD = frozenset(
    {"append_only", "blocks", "verified_before_close", "knn.derived_source", "default_pipeline", "final_pipeline"}
)
"""Settings that a new index does not take over, or not while it is filled: a pipeline would change the copies, and may
pay for vectors, and an index that is append-only takes no vector.
"""
PIPELINES = ("default_pipeline", "final_pipeline")
MOST_NAME_BYTES = 255
BAD_REQUEST = 400


def index_name(alias: str, run_key: str) -> str:
    """The same for every try of a run. Raise SpecError for an alias too long."""
    name = f"{alias.lower()}-{run_key}"
    if len(name.encode()) > MOST_NAME_BYTES:
        raise SpecError(f"the new index would be named {name!r}, and the server takes {MOST_NAME_BYTES} bytes")
    return name


def make_index(
    send: Send,
    alias: str,
    name: str,
    run: str,
    section: WriteBackSection,
    dimensions: int | None,
    chunks: ChunkSection | None = None,
) -> NewIndex:
    """Make the index of a run, or find it again. Without `dimensions` its vector field waits for the first vectors.

    Raise SpecError for an alias that cannot be moved, an index whose documents are not all there to copy, a vector
    field that lies in no object or that no server makes, or want of room; Refused for an index of that name which is
    not this run's; Unavailable for a red one.
    """
    source, about = the_index(send, alias)
    if source == name:
        return _found(send, name, about, alias, run)
    _refuse_incomplete(source, about)
    if wrong := [*unfit_parents(source, about["mappings"], section, has_chunks=chunks is not None)]:
        raise SpecError(f"nothing was copied, and nothing sent: {'; '.join(wrong)}")
    if chunks:
        refuse_flat(source, section.chunks_field, field_at(about["mappings"], section.chunks_field))
    refuse_unmakable(alias, about, section, dimensions)
    state = whole_state(send, source, about)
    if name not in described(send, name):  # else documents of an earlier try are counted in the room already
        mapping = vector_field(about["mappings"], section, dimensions) if dimensions else None
        refuse_no_room(send, source, name, about, section, mapping)
    note = IndexNote(made=Made(alias, run, state))
    _create(send, name, body_of(about, section, dimensions, note, chunks), section)
    made = send(documents.describe_indices(name))[name]
    if not dimensions:
        refuse_unmakable(alias, about, section, None, created_by(made["settings"]["index"]))
    found = _found(send, name, made, alias, run)
    if found.made.source.index != source or not found.made.source.is_same_index(state):
        raise Refused(
            f"{name} was made from {found.made.source.index}, and alias {alias} leads to {source} now, or to another "
            f"index of that name. DELETE {name} and clear make_index, and it is made again"
        )
    return found


def _create(send: Send, name: str, body: dict[str, Any], section: WriteBackSection) -> None:
    """An index of that name may be there. Raise SpecError where the server does not make such a vector field."""
    try:
        send(documents.create_index(name, body))
    except BatchError as error:
        field = field_at(body["mappings"], section.vector_field)
        if field and error.status == BAD_REQUEST and f"{engine_of(field)} engine" in str(error):
            raise SpecError(f"nothing was sent: {error} A method that every server takes: {method_line()}") from error
        if "resource_already_exists_exception" not in str(error):
            raise


def refuse_unmakable(
    alias: str, about: About, section: WriteBackSection, dimensions: int | None, made_by: int | None = None
) -> None:
    """Raise SpecError for a new vector field that no server makes, or that takes no floats. With `made_by`, of the
    major version of this server. Where the length is known the server itself judges, as it makes index and field at
    once; else it would at the end, when the vectors are paid.
    """
    refuse_too_long(section, dimensions)
    field = vector_field(about["mappings"], section, dimensions or 1)
    wrong = [
        *refusals(f"the new index of {alias}: {section.vector_field!r}", field, made_by),
        *wrong_kind(alias, section.vector_field, field),
    ]
    if wrong:
        raise SpecError(f"nothing was sent: {'; '.join(wrong)}. A method that every server takes: {method_line()}")


def _found(send: Send, name: str, about: About, alias: str, run: str) -> NewIndex:
    made = note_of(about).made
    if made is None or (made.alias, made.run) != (alias, run):
        raise Refused(
            f"an index {name} exists, and this run did not make it. If nobody needs it, DELETE {name}, and clear "
            "this task"
        )
    if others := sorted(set(about["aliases"]) - ({alias} if note_of(about).moved else set())):
        raise Refused(
            f"{name} was made with the alias {', '.join(others)}, which an index template gives: searches would find "
            f"the copies too. DELETE {name}, take the alias out of the template, and clear this task"
        )
    return NewIndex(made, whole_state(send, name, about))


def whole_state(send: Send, index: str, about: About) -> IndexState:
    """Raise Unavailable where not every shard has a primary: the index is red."""
    state = next(read_states(send, [index]))
    shards = int(about["settings"]["index"]["number_of_shards"])
    if len(state.histories) < shards:
        raise Unavailable(
            f"{index} is red: only {len(state.histories)} of {shards} shards answer. "
            "GET _cluster/allocation/explain says why"
        )
    return state


def body_of(
    about: About,
    section: WriteBackSection,
    dimensions: int | None,
    note: IndexNote,
    chunks: ChunkSection | None = None,
) -> dict[str, Any]:
    """The request that makes the new index: settings and mapping of the old, and this model's vector field, or the
    nested field of the chunks.
    """
    settings = {
        name: value
        for name, value in about["settings"]["index"].items()
        if name not in PRIVATE and name not in OF_THE_OLD
    }
    settings |= {"knn": "true", **dict.fromkeys(PIPELINES, "_none")}
    mapping = copy.deepcopy(dict(about["mappings"]))
    mapping["_meta"] = with_note(mapping.get("_meta"), note)
    if not section.provenance_index:
        for name, leaf in PROVENANCE.items():
            set_field(mapping, f"{section.provenance}.{name}", leaf)
    field = vector_field(about["mappings"], section, dimensions) if dimensions else None
    if chunks:
        set_field(mapping, section.chunks_field, _nested_field(about["mappings"], section, chunks))
    set_field(mapping, section.vector_field, field)
    return {"settings": {"index": settings}, "mappings": mapping}


def vector_field(old: Mapping[str, Any], section: WriteBackSection, dimensions: int) -> dict[str, Any]:
    """The mapping of the vector field: as in the old mapping, but for the length and a method of the spec."""
    found = field_at(old, section.vector_field) or {}
    if section.method is not None:
        return {"type": "knn_vector", "dimension": dimensions, "method": section.method}
    if found.get("type") != "knn_vector" or "model_id" in found:
        return {"type": "knn_vector", "dimension": dimensions, "method": METHOD}
    return {**found, "dimension": dimensions}


def _nested_field(old: Mapping[str, Any], section: WriteBackSection, chunks: ChunkSection) -> dict[str, Any]:
    """The mapping of the chunks, as far as it is the old one's, as that says."""
    found = copy.deepcopy(dict(field_at(old, section.chunks_field) or {}))
    own = chunk_fields(keep_text=chunks.keep_text)
    return {**found, "type": "nested", "properties": {**own, **found.get("properties", {})}}


def set_field(mapping: dict[str, Any], path: str, field: dict[str, Any] | None) -> None:
    """Put a field into a mapping at a dotted path, or take it out."""
    *objects, last = path.split(".")
    inner = mapping
    for name in objects:
        inner = inner.setdefault("properties", {}).setdefault(name, {})
    fields = inner.setdefault("properties", {})
    if field is None:
        fields.pop(last, None)
    else:
        fields[last] = field


def map_vectors(send: Send, made: Made, index: str, section: WriteBackSection, dimensions: int) -> None:
    """Give the new index the vector field that waited for the length of the model's own vectors."""
    mapping = send(documents.describe_indices(index))[index]["mappings"]
    if field_at(mapping, section.vector_field) is None:
        old = send(documents.describe_indices(made.source.index))[made.source.index]["mappings"]
        field: dict[str, Any] = vector_field(old, section, dimensions)
        whole: dict[str, Any] = {}
        nested = field_at(mapping, section.chunks_field) or {}
        if nested.get("type") == "nested":  # its own options, as include_in_parent, said again: a server keeps to them
            set_field(whole, section.chunks_field, {key: nested[key] for key in nested if key != "properties"})
        set_field(whole, section.vector_field, field)
        send(documents.put_mapping(index, whole))


def _refuse_incomplete(index: str, about: About) -> None:
    kept_out = about["mappings"].get("_source") or {}
    if kept_out.get("enabled") is False or kept_out.get("excludes") or kept_out.get("includes"):
        raise SpecError(
            f"{index} does not keep all of _source ({kept_out}), so its documents cannot be copied. Fill a new index "
            "from where they came from. Nothing was sent."
        )


def pipelines_of(about: About) -> dict[str, str | None]:
    """The pipelines of an index as settings; None for one that it does not have."""
    found = about["settings"]["index"]
    return {f"index.{name}": value_at(found, name) for name in PIPELINES}
