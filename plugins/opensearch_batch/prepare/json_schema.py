"""JSON schemas: what is one, by the jsonschema library, and the columns of the objects that fit one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.shards import FieldType
from opensearch_batch.wrong_field import YES_AND_NO

TYPES: dict[str, FieldType] = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
"""Types of JSON schemas that a column has; every other property is a column of JSON."""

VALUES = frozenset({"const", "default", "enum", "examples"})
"""Keys of a schema whose values are values, and no schemas."""

NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keys of a schema whose values have schemas by name."""

MESSAGE_CHARACTERS = 300
"""Of jsonschema's words, which may quote the whole schema."""


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return jsonschema's validator; it fetches nothing, so that a `$ref` may point into the schema only.

    A schema without `$schema` is read as draft 2020-12.
    """
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    kind = validators.validator_for(schema, default=Draft202012Validator)
    return kind(schema, registry=Registry())


def refuse_no_schema(schema: Any, where: str) -> None:
    """Raise SpecError, with the path, for what is no JSON schema of an object with properties, and for a `$ref` that
    does not point into the schema.
    """
    from jsonschema import SchemaError

    if not isinstance(schema, dict):
        raise SpecError(f"{where} is {type(schema).__name__}, and no JSON schema: that is an object")
    for path, words in _misread(schema, "$"):
        raise SpecError(f"{where}: at {path}: {words}")
    try:
        validator_of(schema).check_schema(schema)
    except SchemaError as error:
        raise SpecError(
            f"{where} is no JSON schema: at {error.json_path}: {error.message[:MESSAGE_CHARACTERS]}"
        ) from None
    if schema.get("type") != "object" or not schema.get("properties"):
        raise SpecError(f"{where}: at $: an answer is an object: say type: object, and its properties")
    for path, ref in _refs(schema, "$"):
        _refuse_lost(schema, path, ref, where)


def columns_of(schema: Mapping[str, Any]) -> dict[str, FieldType]:
    """Return the top-level properties with the types of their columns; null beside a type does not count."""
    return {name: _type_of(said) for name, said in schema["properties"].items()}


def _type_of(said: Any) -> FieldType:
    if not isinstance(said, dict):
        return "json"
    kinds = said.get("type")
    if isinstance(options := said.get("anyOf"), list) and kinds is None:
        kinds = [option.get("type") for option in options if isinstance(option, dict)]
    if kinds is None and isinstance(values := said.get("enum"), list):
        return "text" if all(isinstance(value, str) for value in values) else "json"
    named = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    return TYPES.get(named[0], "json") if len(named) == 1 and isinstance(named[0], str) else "json"


def _misread(node: Any, path: str, *, is_named: bool = False) -> Iterator[tuple[str, str]]:
    """Yield path and words for what YAML 1.1 reads otherwise than a schema means it: null as nothing, and yes, no, on
    and off as true and false (https://yaml.org/type/null.html, https://yaml.org/type/bool.html). `is_named`: the keys
    of the node are names of somebody's own, and its values are schemas.
    """
    if isinstance(node, list):
        for index, value in enumerate(node):
            yield from _misread(value, f"{path}[{index}]")
    if not isinstance(node, dict):
        return
    yield from _misread_here(node, path)
    for name, value in node.items():
        if is_named or name not in VALUES:
            yield from _misread(value, f"{path}.{name}", is_named=not is_named and name in NAMED)


def _misread_here(node: Mapping[Any, Any], path: str) -> Iterator[tuple[str, str]]:
    kinds = node["type"] if isinstance(node.get("type"), list) else [node.get("type", "any")]
    if None in kinds:
        yield f"{path}.type", 'null without quotes is nothing in YAML. Write "null"'
    values = [*(("enum", each) for each in _listed(node, "enum")), ("const", node.get("const"))]
    if "boolean" not in kinds and ("string" in kinds or any(isinstance(value, str) for _, value in values)):
        for key, value in values:
            if isinstance(value, bool):
                yield f"{path}.{key}", f"{value} is no text. {YES_AND_NO}. Write it in quotes"


def _listed(node: Mapping[str, Any], name: str) -> list[Any]:
    return node[name] if isinstance(node.get(name), list) else []


def _refs(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield path, ref
        for name, value in node.items():
            yield from _refs(value, f"{path}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _refs(value, f"{path}[{index}]")


def _refuse_lost(schema: dict[str, Any], path: str, ref: str, where: str) -> None:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    registry = Registry().with_resource("", DRAFT202012.create_resource(schema))
    try:
        registry.resolver().lookup(ref)
    except Unresolvable:
        raise SpecError(
            f"{where}: at {path}: $ref {ref!r} points to nothing in the schema; nothing is fetched"
        ) from None
