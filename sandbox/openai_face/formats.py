"""The schema of a request's answers, refused where OpenAI refuses one.

Rules: https://platform.openai.com/docs/guides/structured-outputs, "supported schemas". The messages follow those that
are quoted in the issues of its SDKs, e.g. https://github.com/openai/openai-python/issues/1733.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox.openai_face.errors import OpenAIError, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOT_STRICT = ("allOf", "not", "if", "dependentRequired", "patternProperties")
"""Keywords that strict schemas may not have."""
Context = tuple[str, ...]


def schema_in(wanted: dict[str, Any], chat: bool) -> dict[str, Any]:
    """Raises OpenAIError (400)."""
    param = "response_format" if chat else "text.format"
    said = wanted.get("json_schema") if chat else wanted
    if not isinstance(said, dict):
        raise missing(f"{param}.json_schema")
    name, schema = said.get("name"), said.get("schema")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise missing(f"{param}.json_schema.name" if chat else f"{param}.name")
    if not isinstance(schema, dict):
        raise missing(f"{param}.json_schema.schema" if chat else f"{param}.schema")
    if schema.get("type") != "object":
        raise _invalid(
            param,
            name,
            (),
            f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.",
        )
    if said.get("strict"):
        for context, why in _open_ends(schema, ()):
            raise _invalid(param, name, context, why)
    return schema


def _open_ends(node: Any, context: Context) -> Iterator[tuple[Context, str]]:
    if not isinstance(node, dict):
        return
    for word in NOT_STRICT:
        if word in node:
            yield context, f"'{word}' is not permitted."
    if node.get("type") == "object":
        if node.get("additionalProperties") is not False:
            yield context, "'additionalProperties' is required to be supplied and to be false."
        named, needed = node.get("properties", {}), node.get("required", [])
        if absent := [name for name in named if name not in needed]:
            yield (
                context,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{absent[0]}'.",
            )
    for word in ("properties", "$defs"):
        for name, inner in node.get(word, {}).items():
            yield from _open_ends(inner, (*context, word, name))
    yield from _open_ends(node.get("items"), (*context, "items"))
    for index, inner in enumerate(node.get("anyOf", ())):
        yield from _open_ends(inner, (*context, "anyOf", str(index)))


def _invalid(param: str, name: str, context: Context, why: str) -> OpenAIError:
    return OpenAIError(400, f"Invalid schema for response_format '{name}': In context={context}, {why}", param=param)
