"""OutputSchema: what each answer of a shard must fit, as preparation noted it beside the shards."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from opensearch_batch.flow.shards import FieldType
from opensearch_batch.flow.values import Value


class OutputSchema(Value, frozen=True):
    """`schema` is the JSON schema of an object, sent to the vendor; `columns` are the object's top-level properties,
    with the types of their columns. `model` is the import path of a pydantic model, which then checks in the schema's
    place.
    """

    schema: dict[str, Any]
    columns: dict[str, FieldType]
    model: str | UnsetType = UNSET
