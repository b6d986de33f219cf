"""Dotted keys: nested values by the path of a key, e.g. model.name, and what is wrong at a path."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def with_dotted(values: dict[str, Any], dotted: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of nested values with dotted keys set; a None sets nothing.

    Raise SpecError for a key below a value without fields.
    """
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        target = copy
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise SpecError(f"{key!r}: {section!r} has no fields of its own")
        if value is not None:
            target[last] = value
    return copy


def value_at(values: Any, path: str) -> Any:
    """Return the value at a dotted path in nested values; None where there is none."""
    for name in path.split("."):
        if not isinstance(values, dict):
            return None
        values = values.get(name)
    return values


def values_at(values: Any, path: str) -> list[Any]:
    """Return all values at a dotted path, in the objects of lists too, as an index reads a document; a list at the end
    counts as its values.
    """
    found = [values]
    for name in path.split("."):
        found = [inner[name] for inner in _flat(found) if isinstance(inner, dict) and name in inner]
    return _flat(found)


def _flat(values: list[Any]) -> list[Any]:
    return [inner for each in values for inner in (each if isinstance(each, list) else [each])]


def unknown_key(path: str, known: Iterable[str]) -> str:
    """Return the error text for an unknown key at a dotted path, with the nearest of the known keys."""
    near = get_close_matches(path.rpartition(".")[2], known, n=1)
    return f"unknown key {path!r}" + (f", did you mean {near[0]!r}?" if near else "")


def explained(item: Any, root: type[BaseModel]) -> str:
    """Return the text for an error of pydantic about a model `root`."""
    path = ".".join(str(part) for part in item["loc"]) or "the spec"
    if item["type"] == "extra_forbidden":
        return unknown_key(path, _fields_at(root, item["loc"][:-1]))
    return f"{path}: {item['msg']}" + (f", not {item['input']!r}" if item["type"] != "missing" else "")


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        section = section_of(model.model_fields[part])
        if section is None:
            return []
        model = section
    return list(model.model_fields)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a section, or may be one; None for any other field."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
