"""Values: plain dicts between tasks, unknown and missing keys refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import field

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.values import Value


class Inner(Value, frozen=True):
    n: int


class Noun(Value, frozen=True):
    name: str
    counts: dict[str, int] = field(default_factory=dict)
    inner: Inner | None = None


def test_a_value_goes_through_json_and_back() -> None:
    made = Noun("a", {"x": 1})
    assert Noun.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_nested_values_become_plain_dicts() -> None:
    assert Noun("a", inner=Inner(3)).to_dict() == {"name": "a", "counts": {}, "inner": {"n": 3}}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"name": "a", "colour": "red"}, "colour"),
        ({"counts": {}}, "name"),
        ({}, "name"),
        ([("name", "a")], "list"),
        (None, "NoneType"),
        ("name", "str"),
    ],
)
def test_what_is_not_this_value_is_refused_with_what_is_wrong_and_what_to_do(wrong: Any, named: str) -> None:
    with pytest.raises(UnknownAnswer, match=rf"Noun: .*{named}.*Clear the upstream task"):
        Noun.from_dict(wrong)


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        ({"n": "3"}, r"Expected `int`, got `str` - at `\$\.inner\.n`"),
        ({"n": 3, "m": 4}, r"unknown field `m` - at `\$\.inner`"),
        ({}, r"missing required field `n` - at `\$\.inner`"),
    ],
)
def test_what_is_wrong_in_a_nested_value_is_refused_with_its_path(inner: Any, named: str) -> None:
    with pytest.raises(UnknownAnswer, match=rf"Noun: .*{named}.*Clear the upstream task"):
        Noun.from_dict({"name": "a", "inner": inner})
