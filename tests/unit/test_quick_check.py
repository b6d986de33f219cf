"""The quick check: its yes is always jsonschema's, and it is sure of the schemas that specs have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_batch.land.quick_check import quick_check
from opensearch_batch.prepare.json_schema import validator_of

LABEL: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "label",
    "type": "object",
    "additionalProperties": False,
    "required": ["label", "confidence"],
    "properties": {
        "label": {"type": "string", "enum": ["a", "b"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "words": {"type": "integer", "exclusiveMinimum": 0},
        "note": {"type": ["string", "null"], "maxLength": 3},
        "parts": {"type": "array", "items": {"type": "string", "pattern": "^x"}, "minItems": 1},
        "inner": {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]},
    },
}
FITS = {"label": "a", "confidence": 1, "words": 2, "note": None, "parts": ["x"], "inner": {"sure": True, "more": 1}}

anything = st.sampled_from([None, True, False, 0, 1, -6, 2.0, 1.5, 10**20, "", "x", "long", [], ["x"], {}, {"a": 1}])


def near(schema: Any) -> st.SearchStrategy[Any]:
    """Values that fit the schema, or nearly do: most draws of anything fit nothing, and show nothing."""
    kind = schema.get("type", "enum")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        fields = {name: near(inner) for name, inner in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional={**fields, "b": anything}) | st.fixed_dictionaries(fields)
    if kind == "array":
        return st.lists(near(schema["items"]), max_size=3)
    fitting = {
        "string": st.text("xyé\U0001f41c", max_size=4),
        "integer": st.integers(-6, 6),
        "number": st.integers(-6, 6) | st.sampled_from([0.5, -5.0, 5.0]),
        "boolean": st.booleans(),
        "null": st.none(),
        "enum": st.sampled_from(schema.get("enum", [2, 3])),
    }[kind]
    return st.one_of(fitting, fitting, fitting, anything)


plain = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 3)}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": st.integers(-5, 5), "exclusiveMaximum": st.integers(-5, 5) | st.booleans()},
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", ["string", "null"], ["integer", "null"]])}),
    st.fixed_dictionaries({"enum": st.lists(st.text(max_size=1) | st.integers(0, 1) | st.none(), min_size=1)}),
    st.fixed_dictionaries({"multipleOf": st.just(2)}),
)
schemas = st.recursive(
    plain,
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(0, 2)})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abx"), inner, max_size=3)},
            optional={"required": st.lists(st.sampled_from("abx"), max_size=2), "additionalProperties": st.booleans()},
        )
    ),
    max_leaves=4,
)


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), schema=plain | schemas)
def test_its_yes_is_jsonschemas(data: st.DataObject, schema: dict[str, Any]) -> None:
    value = data.draw(near(schema))
    if quick_check(schema)(value):
        assert next(validator_of(schema).iter_errors(value), None) is None


def test_it_is_sure_of_an_object_with_all_kinds_of_properties() -> None:
    is_sure = quick_check(LABEL)
    assert is_sure(FITS)
    assert is_sure({"label": "b", "confidence": 0.5})


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", "x"), ("integer", 1), ("number", 0.5), ("boolean", True), ("null", None), (["integer", "null"], None)],
)
def test_it_is_sure_of_each_type_alone(kind: Any, value: Any) -> None:
    assert quick_check({"type": kind})(value)


def test_properties_may_stand_in_any_order() -> None:
    kinds = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string"}}
    is_sure = quick_check({"type": "object", "properties": kinds, "required": ["b"]})
    assert is_sure({"b": 1})
    assert is_sure({"c": "x", "b": 1, "a": "y"})
    assert not is_sure({"a": "y"})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "enum": ["a"]},
        {"type": "array", "enum": ["a"]},
        {"enum": ["a", 1]},
        {"type": ["string", "integer"]},
        {"type": "word"},
    ],
    ids=str,
)
def test_it_is_not_sure_where_types_contradict_or_are_many(schema: dict[str, Any]) -> None:
    assert not quick_check(schema)("a")


@pytest.mark.parametrize(
    "other",
    [
        {"label": "c"},
        {"confidence": 1.5},
        {"confidence": True},
        {"words": 0},
        {"words": True},
        {"note": "long"},
        {"parts": []},
        {"parts": ["y"]},
        {"inner": {}},
        {"more": 1},
    ],
    ids=str,
)
def test_it_is_not_sure_of_what_does_not_fit(other: dict[str, Any]) -> None:
    assert not quick_check(LABEL)({**FITS, **other})


@pytest.mark.parametrize(
    "said",
    [
        {"oneOf": [{"required": ["label"]}]},
        {"$schema": "http://json-schema.org/draft-04/schema#"},
        {"additionalProperties": {"type": "string"}},
        {"patternProperties": {"^l": {"type": "string"}}},
        {"required": ["label", "absent"]},
    ],
    ids=str,
)
def test_it_leaves_to_jsonschema_what_it_does_not_read(said: dict[str, Any]) -> None:
    assert not quick_check({**LABEL, **said})(FITS)
