"""An index before a run: whether its documents can be read as the spec says, and take the vectors. Each refusal has the
line to paste.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.graphs import vector_field
from opensearch_batch.prepare.index_source import why_not_in_source
from opensearch_batch.prepare.index_state import in_the_way, is_derived, wrong_kind
from opensearch_batch.prepare.vector_space import BY_ANGLE, LONGEST, METHOD, space_of
from opensearch_batch.write_back_section import WriteBackSection

Described = Mapping[str, Mapping[str, Any]]
"""By concrete index: mappings and settings, as the cluster tells them."""

BLOCKS = ("write", "read_only", "read_only_allow_delete")
PROVENANCE = {"model": {"type": "keyword"}, "text_hash": {"type": "keyword"}, "run": {"type": "keyword"}}


def refuse_unreadable(described: Described, fields: Sequence[str]) -> None:
    """Raise SpecError for a field that an index's mapping does not have, for one of which documents have nothing in
    their _source, and for an object: a filter that names an object with vectors gets other values on some servers.
    """
    for index, about in described.items():
        mapping = about["mappings"]
        for name in fields:
            found = field_at(mapping, name)
            if found is not None and "properties" in found:
                raise SpecError(
                    f"{index}: {name!r} is an object; name the field in it, e.g. {_first_leaf(name, found)}"
                )
            if found is None and mapping.get("dynamic") not in (False, "false") and not name.endswith(".text_hash"):
                has = ", ".join(sorted(mapping.get("properties", {}))) or "no field"
                raise SpecError(
                    f"{index} has no field {name!r}; it has {has}. Correct input.text_field, input.prompt, "
                    "input.template or input.images"
                )
            if wrong := why_not_in_source(mapping, name, found or {}):
                raise SpecError(f"{index}: {wrong}. Nothing was sent")


def refuse_unwritable(
    described: Described, section: WriteBackSection, dimensions: int | None, *, has_chunks: bool
) -> None:
    """Raise SpecError where an index cannot take the vectors, with everything that is in the way. `dimensions` is the
    length of the vectors, None where only the model knows.
    """
    wrong = [
        line
        for index, about in described.items()
        for line in (
            *_in_the_way(index, about, section, dimensions),
            *unfit_parents(index, about["mappings"], section, has_chunks=has_chunks),
        )
    ]
    if wrong:
        raise SpecError("nothing was sent: " + "; ".join(wrong))


def unfit_parents(
    index: str, mapping: Mapping[str, Any], section: WriteBackSection, *, has_chunks: bool
) -> Iterator[str]:
    """Yield why a field in which a vector or its provenance lies does not take them. In a nested field a partial
    document, which has one object there, would replace all objects of the index's owner; but the nested field of the
    chunks is written whole.
    """
    parts = [path.split(".") for path in section.written(has_chunks=has_chunks)]
    parents = dict.fromkeys(".".join(part[:number]) for part in parts for number in range(1, len(part)))
    for parent in parents:
        kind = (field_at(mapping, parent) or {}).get("type", "object")
        if kind == "nested":
            yield (
                f"{index}: {parent!r} is nested, and a document's vector or provenance in it would replace all of its "
                "objects. Name a vector_field and a provenance_field outside of it; with input.chunks vector_field "
                "lies in a nested field of its own"
            )
        elif kind != "object":
            yield f"{index}: {parent!r} is of type {kind}, and no object. Name another field"


def refuse_too_long(section: WriteBackSection, dimensions: int | None) -> None:
    """Raise SpecError for vectors that are too long for every engine."""
    if dimensions is not None and dimensions > LONGEST:
        raise SpecError(
            f"the model is asked for vectors of {dimensions} numbers, and a field as {section.vector_field!r} takes "
            f"{LONGEST} at most, with any engine. Say a shorter length in model.parameters. Nothing was sent."
        )


def refuse_mixed(uri: str, others: int, model: str) -> None:
    """Raise SpecError where so many documents have vectors of another model."""
    if others:
        raise SpecError(
            f"{uri}: {others} documents have vectors of another model than {model}, or of an unknown one, and searches "
            "would compare both until this run has ended. Fill a new index; or say write_back.on_model_change: "
            "replace. Nothing was sent."
        )


def _in_the_way(
    index: str, about: Mapping[str, Any], section: WriteBackSection, dimensions: int | None
) -> Iterator[str]:
    settings, mapping = about["settings"]["index"], about["mappings"]
    for block in BLOCKS:
        if str((settings.get("blocks") or {}).get(block)) == "true":
            yield f'{index} is blocked: PUT {index}/_settings {{"index.blocks.{block}": null}} lifts the block'
    yield from in_the_way(index, settings)
    yield from _wrong_vector_field(index, settings, field_at(mapping, section.vector_field), section, dimensions)
    yield from wrong_kind(index, section.vector_field, field_at(mapping, section.vector_field) or {})
    kept_out = mapping.get("_source") or {}
    if kept_out.get("enabled") is False or kept_out.get("excludes") or kept_out.get("includes"):
        yield (
            f"{index} does not keep all of _source ({json.dumps(kept_out)}): any partial update would drop the vector. "
            "Write into a new index instead"
        )
    if section.provenance_index:
        yield from _not_kept_exactly(index, settings, field_at(mapping, section.vector_field) or {})
    wrong = [
        name
        for name in ({} if section.provenance_index else PROVENANCE)
        if (field_at(mapping, f"{section.provenance}.{name}") or {}).get("type") != "keyword"
    ]
    if wrong:
        yield (
            f"{index} has no keyword field {', '.join(wrong)} in {section.provenance!r}, which tells the next run what "
            f"has not changed: PUT {index}/_mapping "
            f"{json.dumps(body_at(section.provenance, {'properties': PROVENANCE}))}. Where that mapping is not yours, "
            "write_back.provenance_index names an index for these"
        )


def _not_kept_exactly(index: str, settings: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """An index of provenance names a vector by a hash of its numbers. Faiss scales vectors to length 1 for
    `cosinesimil`, and a derived source answers with the scaled ones:
    https://github.com/opensearch-project/k-NN/issues/3083
    """
    field = vector_field(found)
    if field and field.engine == "faiss" and space_of(found, settings) == BY_ANGLE and is_derived(settings):
        yield (
            f"{index} does not keep the vectors as they are written (faiss, cosinesimil, knn.derived_source), and "
            "write_back.provenance_index tells them by their numbers: say write_back.provenance_field instead, or make "
            'the index with the engine lucene or "knn.derived_source": {"enabled": false}'
        )


def _wrong_vector_field(
    index: str,
    settings: Mapping[str, Any],
    found: Mapping[str, Any] | None,
    section: WriteBackSection,
    dimensions: int | None,
) -> Iterator[str]:
    name = section.vector_field
    if str(settings.get("knn")) != "true":
        yield f"{index} was made without index.knn: true, which cannot be set later. Make a new index"
    elif found is None and section.is_beside:
        return  # it is mapped with the first vectors, whose length is the model's own
    elif found is None:
        length = dimensions or "LENGTH_OF_THE_MODELS_VECTORS"
        field = {"type": "knn_vector", "dimension": length, "method": METHOD}
        yield f"{index} has no field {name!r}: PUT {index}/_mapping {json.dumps(body_at(name, field))}"
    elif found.get("type") != "knn_vector":
        yield f"{index}: {name!r} is of type {found.get('type', 'object')}, not knn_vector. Name another field"
    elif dimensions is not None and found.get("dimension") not in (None, dimensions):
        yield (
            f"{index}: {name!r} takes vectors of {found['dimension']} numbers, and the model makes {dimensions}. Say "
            "that length in model.parameters, or name another field"
        )


def field_at(mapping: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the mapping of a field by its dotted path; None where there is none."""
    found: Mapping[str, Any] = mapping
    for name in path.split("."):
        inner = (found.get("properties") or {}).get(name)
        if inner is None:
            return None
        found = inner
    return found


def body_at(path: str, field: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a _mapping request with one field at a dotted path."""
    body: dict[str, Any] = dict(field)
    for name in reversed(path.split(".")):
        body = {"properties": {name: body}}
    return body


def _first_leaf(name: str, found: Mapping[str, Any]) -> str:
    return f"{name}.{next(iter(found['properties']), 'FIELD')}"
