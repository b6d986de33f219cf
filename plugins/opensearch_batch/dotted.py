"""Dotted keys: nested values by the path of a key, e.g. model.name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opensearch_batch.errors import SpecError


def with_dotted(values: Mapping[str, Any], dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested values with dotted keys set; a None sets nothing. Null and an empty list above a key
    count as absent: they hold nothing.

    Raise SpecError for a key below another value without fields.
    """
    copy = dict(values)
    for key, value in dotted.items():
        if value is None:
            continue
        if (parent := not_an_object(copy, key)) is not None:
            raise SpecError(f"{key!r}: {parent!r} has no fields of its own")
        *sections, last = key.split(".")
        target = copy
        for section in sections:
            target[section] = dict(target.get(section) or {})
            target = target[section]
        target[last] = value
    return copy


def value_at(values: Any, path: str) -> Any:
    """Return the value at a dotted path in nested values; None where there is none."""
    for name in path.split("."):
        if not isinstance(values, dict):
            return None
        values = values.get(name)
    return values


def take_out(values: dict[str, Any], path: str) -> None:
    """Remove the value at a dotted path, which is there, from nested values."""
    *parents, last = path.split(".")
    for name in parents:
        values = values[name]
    del values[last]


def leaf_at(document: Any, path: str) -> Any:
    """Return what a document has in a field, as an index reads it: a key may be several names of the path with their
    dots, and of a list of objects it is the list of their values. None where there is none.
    """
    if isinstance(document, list):
        return [value for each in document if (value := leaf_at(each, path)) is not None] or None
    if not isinstance(document, dict):
        return None
    if path in document:
        return document[path]
    heads = (path[:end] for end, character in enumerate(path) if character == ".")
    found = (leaf_at(document[head], path[len(head) + 1 :]) for head in heads if head in document)
    return next((value for value in found if value is not None), None)


def values_at(values: Any, path: str) -> list[Any]:
    """Return all values at a dotted path, in the objects of lists too, as an index reads a document; a list at the end
    counts as its values.
    """
    found = [values]
    for name in path.split("."):
        found = [inner[name] for inner in _flat(found) if isinstance(inner, dict) and name in inner]
    return _flat(found)


def not_an_object(values: Any, path: str) -> str | None:
    """Return the first parent on a dotted path that is there and is no object, as its own path; None where a value may
    be set at the path. Null and an empty list count as absent: they hold nothing.
    """
    *parents, _ = path.split(".")
    for number, name in enumerate(parents, 1):
        values = values.get(name)
        if values is None or values == []:
            return None
        if not isinstance(values, dict):
            return ".".join(parents[:number])
    return None


def ways_to(values: Any, path: str) -> Iterator[tuple[str, ...]]:
    """Yield the keys that lead to each value at a dotted path, where keys may have dots themselves.

    Example: of `a.b` in {"a": {"b": 1}, "a.b": 2} ("a", "b") and ("a.b",).
    """
    for key, inner in values.items() if isinstance(values, dict) else ():
        if key == path and inner is not None:
            yield (key,)
        elif path.startswith(f"{key}."):
            for keys in ways_to(inner, path.removeprefix(f"{key}.")):
                yield key, *keys


def _flat(values: list[Any]) -> list[Any]:
    return [inner for each in values for inner in (each if isinstance(each, list) else [each])]
