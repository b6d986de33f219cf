"""The system prompt and the schema of answers, as chat completions and responses take both.

https://platform.openai.com/docs/guides/structured-outputs: `strict` holds a model to the schema, and takes only schemas
whose objects are closed and require all of their properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opensearch_batch.errors import SpecError

CHAT = "/v1/chat/completions"
NAME_CHARACTERS = 64


def with_schema(model: str, endpoint: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    said = {"type": "json_schema"}, {"name": _name(schema), "strict": is_strict(schema), "schema": schema}
    if endpoint == CHAT:
        _refuse_two("response_format", parameters)
        return {**parameters, "response_format": {**said[0], "json_schema": said[1]}}
    text = parameters.get("text") or {}
    _refuse_two("format", text)
    return {**parameters, "text": {**text, "format": {**said[0], **said[1]}}}


def with_system_prompt(model: str, endpoint: str, parameters: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    """`messages` of a chat's parameters stand before the row's own (provider.request)."""
    if endpoint == CHAT:
        return {**parameters, "messages": [{"role": "system", "content": prompt}, *parameters.get("messages", [])]}
    if "instructions" in parameters:
        raise SpecError("model.parameters: 'instructions' and model.system_prompt are one thing; give one of them")
    return {**parameters, "instructions": prompt}


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether every object of the schema is closed and requires all of its properties."""
    return all(
        node.get("additionalProperties") is False and set(node.get("required", ())) == set(node.get("properties", ()))
        for node in _schemas(schema)
        if node.get("type") == "object" or "properties" in node
    )


def _schemas(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and the schemas in it."""
    if not isinstance(node, Mapping):
        return
    yield node
    for name in ("properties", "$defs", "definitions"):
        for inner in (node.get(name) or {}).values():
            yield from _schemas(inner)
    yield from _schemas(node.get("items"))
    for name in ("anyOf", "oneOf", "allOf"):
        for inner in node.get(name) or ():
            yield from _schemas(inner)


def _name(schema: Mapping[str, Any]) -> str:
    """The vendor takes letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(schema.get("title", ""))).strip("_")[:NAME_CHARACTERS] or "answer"


def _refuse_two(name: str, parameters: Mapping[str, Any]) -> None:
    if name in parameters:
        raise SpecError(
            f"model.parameters: {name!r} and model.output_schema are two ways to say the shape of answers; give one"
        )
