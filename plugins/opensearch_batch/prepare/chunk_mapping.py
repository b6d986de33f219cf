"""The nested field of chunks in an index, before a run: whether it takes them, and the line that makes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from opensearch_batch.cluster.described import mapping_limit
from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.index_mapping import Described, body_at, field_at
from opensearch_batch.prepare.vector_space import METHOD
from opensearch_batch.write_back_section import WriteBackSection

MOST_CHUNKS, MOST_NESTED_FIELDS = 10_000, 50
"""Nested objects of a document and nested fields of an index, where its settings say nothing:
https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/index-settings/
"""

TEXT: Mapping[str, Any] = {"text": {"type": "text"}}
BESIDE: Mapping[str, Any] = {
    "text_hash": {"type": "keyword"},
    "start": {"type": "integer"},
    "end": {"type": "integer"},
}


def chunk_fields(*, keep_text: bool) -> dict[str, Any]:
    """The mapping of a chunk's own fields, without the vector's."""
    return {**(TEXT if keep_text else {}), **BESIDE}


def refuse_flat(index: str, name: str, found: Mapping[str, Any] | None) -> None:
    """Raise SpecError for the field of the chunks, by its mapping, where it is another's."""
    if wrong := _not_nested(index, name, found):
        raise SpecError(f"nothing was sent: {wrong}")


def most_chunks(described: Described) -> int:
    """Return how many chunks a document of each of these indices may have."""
    return min(_limit(about, "nested_objects", MOST_CHUNKS) for about in described.values())


def refuse_chunks(described: Described, section: WriteBackSection, dimensions: int | None, *, keep_text: bool) -> None:
    """Raise SpecError where an index cannot take chunks. Whether it takes vectors of that length is asked of all
    vector fields (prepare/index_mapping.py).
    """
    wrong = [
        line for index, about in described.items() for line in _in_the_way(index, about, section, dimensions, keep_text)
    ]
    if wrong:
        raise SpecError("nothing was sent: " + "; ".join(wrong))


def _in_the_way(
    index: str, about: Mapping[str, Any], section: WriteBackSection, dimensions: int | None, keep_text: bool
) -> Iterator[str]:
    mapping, name = about["mappings"], section.chunks_field
    vector = section.vector_field.removeprefix(f"{name}.")
    length = dimensions or "LENGTH_OF_THE_MODELS_VECTORS"
    wanted = {
        **chunk_fields(keep_text=keep_text),
        vector: {"type": "knn_vector", "dimension": length, "method": METHOD},
    }
    if section.is_beside and dimensions is None:
        del wanted[vector]  # it is mapped with the first vectors, whose length is the model's own
    found = field_at(mapping, name)
    if wrong := _not_nested(index, name, found):
        yield wrong
        return
    there = (found or {}).get("properties", {})
    if (hashed := there.get("text_hash", {}).get("type", "keyword")) != "keyword":
        yield f"{index}: '{name}.text_hash' is of type {hashed}, not keyword. Name another nested field"
    if missing := {field: wanted[field] for field in wanted if field not in there}:
        made = {**(found or {}), "type": "nested", "properties": missing}
        yield (
            f"{index} has no {', '.join(missing)} in the nested field {name!r}: PUT {index}/_mapping "
            f"{json.dumps(body_at(name, made))}"
        )
    limit = _limit(about, "nested_fields", MOST_NESTED_FIELDS)
    if found is None and _nested_fields(mapping) >= limit:
        yield (
            f"{index} has {limit} nested fields, and takes no more: PUT {index}/_settings "
            f'{{"index.mapping.nested_fields.limit": {limit + 1}}}'
        )


def _not_nested(index: str, name: str, found: Mapping[str, Any] | None) -> str | None:
    if found is None or found.get("type") == "nested":
        return None
    return f"{index}: {name!r} is of type {found.get('type', 'object')}, not nested, which is final. Name another"


def _limit(about: Mapping[str, Any], name: str, default: int) -> int:
    limit = mapping_limit(about, name)
    return default if limit is None else limit


def _nested_fields(mapping: Mapping[str, Any]) -> int:
    fields = mapping.get("properties", {}).values()
    return sum((field.get("type") == "nested") + _nested_fields(field) for field in fields)
