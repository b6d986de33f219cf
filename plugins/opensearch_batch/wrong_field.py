"""What is wrong at a field, in words for the author of a spec: the form that is expected, or where a key belongs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from opensearch_batch.section import Section

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FORMS: Mapping[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "an object (key: value)",
    list: "a list ([a, b])",
}
OF_FORM = ("_type", "_parsing", "int_from_float")
"""Ends of pydantic's types of errors about a value of another form."""
YES_AND_NO = "YAML reads yes, no, on and off without quotes as true and false"
"""https://yaml.org/type/bool.html"""
SHOWN_CHARACTERS = 100
"""Of a wrong value."""
ALIKE = 0.8
"""Likeness from which a key is taken for a field of another section."""


def explained(error: ValidationError, root: type[BaseModel], at: str = "") -> str:
    """Return what pydantic has found wrong in a model `root`, which stands at the path `at`. A value that is none of
    several forms is named once.
    """
    return "; ".join(dict.fromkeys(_explained(item, root, at) for item in error.errors()))


def odd_key(values: Any, above: str = "") -> str | None:
    """Return the error text for the first key in nested values that is no text: no JSON has one. None without one."""
    inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inner:
        if isinstance(values, dict) and not isinstance(key, str):
            why = f" {YES_AND_NO}." if isinstance(key, bool) else ""
            return f"{above or 'the spec'}: the key {key!r} is no text.{why} Write it in quotes"
        if found := odd_key(value, f"{above}.{key}" if above else str(key)):
            return found
    return None


def unknown_key(path: str, known: Iterable[str]) -> str:
    """Return the error text for an unknown key at a dotted path, with the nearest of the known keys."""
    near = get_close_matches(path.rpartition(".")[2], known, n=1)
    return f"unknown key {path!r}" + (f", did you mean {near[0]!r}?" if near else "")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that is a section, or may be one; None for any other field."""
    return next((kind for kind in _kinds(field) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


@dataclass(frozen=True)
class _Place:
    """`keys` lead to the field; `section` is what the last of them is in, or is; `inside` is below the field: an index
    of a list, or what pydantic calls one of several forms.
    """

    keys: tuple[str, ...]
    inside: tuple[Any, ...]
    section: type[BaseModel]
    field: FieldInfo | None


def _place_of(loc: tuple[Any, ...], root: type[BaseModel]) -> _Place:
    section, field = root, None
    for number, key in enumerate(loc, start=1):
        if (field := section.model_fields.get(key)) is None or (inner := section_of(field)) is None:
            return _Place(loc[:number], loc[number:], section, field)
        section = inner
    return _Place(loc, (), section, field)


def _explained(item: Any, root: type[BaseModel], at: str) -> str:
    place, kind = _place_of(item["loc"], root), item["type"]
    below = [key for key in place.inside if isinstance(key, int)]
    path = ".".join(map(str, [*([at] if at else []), *place.keys, *below])) or "the spec"
    if kind == "extra_forbidden":
        return _unknown(path, place, root)
    if kind == "missing":
        return f"{path}: this field has to be given"
    wrong = ": nothing stands there" if item["input"] is None else f", not {item['input']!r}"[:SHOWN_CHARACTERS]
    if kind == "string_pattern_mismatch" and place.field and place.field.examples:
        like = place.field.examples[0]
        return f"{path}: the form of {like!r} is expected ({item['ctx']['pattern']}){wrong}"
    is_of_form = kind.endswith(OF_FORM) or (place.inside and not below)
    if is_of_form and (form := _form(place, len(below))):
        return f"{path}: {form} is expected{wrong}"
    return f"{path}: {item['msg']}{wrong}"


def _form(place: _Place, lists: int) -> str:
    """Return the form in words, of a value inside so many lists; empty for one that has none, as settings of another
    package's provider may have.
    """
    if place.field is None or section_of(place.field):
        return f"a section with fields of its own{_example(place)}"
    kinds = _kinds(place.field)
    for _ in range(lists):
        kinds = tuple(inner for kind in kinds if get_origin(kind) is list for inner in get_args(kind))
    forms = [get_origin(kind) or kind for kind in kinds]
    return " or ".join(FORMS[form] for form in forms if form in FORMS)


def _example(place: _Place) -> str:
    if not issubclass(place.section, Section):
        return ""
    written = _written(place.section.EXAMPLE)
    return f" (e.g. {place.keys[-1]}: {written})" if place.keys else f" (e.g. {written})"


def _written(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _unknown(path: str, place: _Place, root: type[BaseModel]) -> str:
    key = place.keys[-1]
    said = unknown_key(path, place.section.model_fields)
    near = said.endswith("?")
    elsewhere = _listed([where for where, name in _fields(root) if name == key])
    if elsewhere and not near:
        said += f": the field's place is {elsewhere}"
    elif elsewhere:
        said += f" Or {elsewhere}?"
    elif not near and (like := get_close_matches(key, [name for _, name in _fields(root)], n=1, cutoff=ALIKE)):
        said += f", did you mean {_listed([where for where, name in _fields(root) if name == like[0]])}?"
    hint = place.section.FOR_OTHERS if issubclass(place.section, Section) else ""
    return f"{said}. {hint}" if hint and not near else said


def _fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    """The path and the name of every field."""
    for name, field in model.model_fields.items():
        yield (above + name if above else f"{name} at the top level"), name
        if inner := section_of(field):
            yield from _fields(inner, f"{above}{name}.")


def _listed(paths: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(paths[:-1]), *paths[-1:]]))


def _kinds(field: FieldInfo) -> tuple[Any, ...]:
    kind = field.annotation
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
