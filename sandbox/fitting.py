"""An object that fits a JSON schema, made of a text: the same text gives the same object, and no model is asked."""

from __future__ import annotations

import hashlib
from typing import Any

DEEP, MOST_DEEP = 6, 20
"""From the first depth on a schema that holds itself ends: with the last option, null as a rule, and with empty lists.
"""


def fitting(schema: dict[str, Any], text: str) -> Any:
    """The value for a schema of the kinds that vendors take; raises ValueError for a kind that is not known here."""
    return _value(schema, schema, text, "$", 0)


def _value(schema: Any, root: dict[str, Any], text: str, path: str, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > MOST_DEEP:
        raise ValueError(f"the sandbox makes no value for {path}")
    if "$ref" in schema:
        return _value(_at(root, schema["$ref"]), root, text, path, depth + 1)
    if "const" in schema:
        return schema["const"]
    if values := schema.get("enum"):
        return values[_number(text, path) % len(values)]
    for name in ("anyOf", "oneOf", "allOf"):
        if options := schema.get(name):
            return _value(options[0 if depth < DEEP else -1], root, text, path, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        return {name: _value(inner, root, text, f"{path}.{name}", depth + 1) for name, inner in properties.items()}
    if kind == "array":
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 2))
        count = max(least, min(2, most)) if depth < DEEP else least
        return [_value(schema["items"], root, text, f"{path}[{index}]", depth + 1) for index in range(count)]
    return _plain(kind, schema, text, path)


def _plain(kind: Any, schema: dict[str, Any], text: str, path: str) -> Any:
    if kind == "string":
        least, most = int(schema.get("minLength", 1)), int(schema.get("maxLength", 80))
        made = f"[sandbox stand-in] {text}"[:most]
        return made.ljust(least, ".")
    if kind in ("integer", "number"):
        least, most = schema.get("minimum", 0), schema.get("maximum", schema.get("minimum", 0) + 100)
        share = _number(text, path) % 1000 / 1000
        found = least + share * (most - least)
        return int(found) if kind == "integer" else round(found, 3)
    if kind == "boolean":
        return _number(text, path) % 2 == 0
    if kind == "null":
        return None
    raise ValueError(f"the sandbox makes no {kind!r} for {path}")


def _at(root: dict[str, Any], ref: str) -> Any:
    found: Any = root
    for part in ref.removeprefix("#").strip("/").split("/"):
        if part:
            found = found[part]
    return found


def _number(text: str, path: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{path}|{text}".encode(), digest_size=6).digest())
