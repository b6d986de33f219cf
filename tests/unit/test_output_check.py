"""The check of an answer: what it makes of a text, by a schema and by a pydantic model."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pydantic import BaseModel, Field, RootModel, computed_field, field_validator

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.land.output_check import checking
from opensearch_batch.prepare.output_schema import output_schema_of
from opensearch_batch.scrubbing import remember
from opensearch_batch.spec import BatchSpec

TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "inner": {"$ref": "#"}},
    "required": ["name"],
    "not": {"required": ["forbidden"]},
}
"""Which only jsonschema reads."""


class Numbers(BaseModel):
    inner: list[int]

    @computed_field
    def total(self) -> int:
        return len(self.inner)

    @field_validator("inner")
    @classmethod
    def _fails(cls, value: list[int]) -> list[int]:
        if value == [13]:
            raise KeyError("thirteen")
        return value


class Named(BaseModel):
    long_name: str = Field("absent", alias="longName")


class NoObject(RootModel[list[int]]):
    pass


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "labels_of_a_user", sys.modules[__name__])


def checked(schema: Any, text: str, **more: Any) -> Answer:
    parts = {"input": {"uri": "file:///in"}, "output": {"uri": "file:///out"}}
    model = {"name": "m", "endpoint": "/v1/chat/completions", "output_schema": schema}
    found = output_schema_of(BatchSpec.check({"name": "n", "model": model, **parts}))
    assert found is not None
    return checking(found)(Answer("row", output=text, usage=Usage(3, 4), **more))


def test_what_fits_has_the_object_and_what_does_not_has_the_text() -> None:
    assert checked(TREE, ' {"name": "a", "inner": {"name": "b"}}').value == {"name": "a", "inner": {"name": "b"}}
    text = '{"name": "a", "inner": {"name": 1}}'
    assert checked(TREE, text) == Answer(
        "row",
        code="invalid_output",
        message="at $.inner.name: 1 is not of type 'string'",
        usage=Usage(3, 4),
        passing=True,
        value=text,
    )


def test_a_models_fields_land_under_the_names_that_the_schema_told_the_vendor() -> None:
    schema = "labels_of_a_user.Named"
    assert checked(schema, '{"longName": "a"}').value == {"longName": "a"}
    assert checked(schema, "{}").value == {"longName": "absent"}


def test_an_answer_nested_as_deep_as_json_goes_is_a_reason() -> None:
    deep = '{"name": "a", "inner": ' * 1000 + '{"name": "a"}' + "}" * 1000
    assert checked(TREE, deep).message == "at $: the answer is nested too deeply to be checked"


def test_a_key_in_an_answer_is_not_in_the_reason() -> None:
    remember(key := "sk-fake-and-not-a-secret")
    said = checked(TREE, f'{{"name": ["{key}"]}}').message
    assert said == "at $.name: ['***'] is not of type 'string'"


def test_reasons_and_vectors_of_others_pass_unread() -> None:
    reason = Answer("row", code="server_error", message="away", passing=True)
    found = output_schema_of(
        BatchSpec.check(
            {
                "name": "n",
                "model": {"name": "m", "endpoint": "/v1/chat/completions", "output_schema": TREE},
                "input": {"uri": "file:///in"},
                "output": {"uri": "file:///out"},
            }
        )
    )
    assert found is not None
    assert checking(found)(reason) is reason


@pytest.mark.parametrize("begin", ["```json\n", "\n```\n", "```JSON\n"])
@pytest.mark.parametrize("end", ["\n```", "```", "\n```\n"])
def test_a_fence_around_the_whole_text_is_taken_off(begin: str, end: str) -> None:
    assert checked(TREE, f'{begin}{{"name": "a"}}{end}').value == {"name": "a"}


@pytest.mark.parametrize(("begin", "end"), [("```json ", "```"), ("```json\n", ""), ("x\n```\n", "\n```"), ("```", "")])
def test_half_a_fence_is_none(begin: str, end: str) -> None:
    assert checked(TREE, f'{begin}{{"name": "a"}}{end}').code == "invalid_output"


def test_a_model_gives_what_it_writes() -> None:
    assert checked("labels_of_a_user.Numbers", '{"inner": ["1", 2.0]}').value == {"inner": [1, 2], "total": 2}
    assert checked("labels_of_a_user.Numbers", '{"inner": "1"}').message == "at $.inner: Input should be a valid list"


def test_what_no_result_can_hold_is_a_reason() -> None:
    said = checked("labels_of_a_user.Numbers", '{"inner": ["100000000000000000000"]}').message
    assert said == "at $: no result can hold the answer: Integer exceeds 64-bit range"


def test_a_validator_at_fault_stops_the_task_and_is_named() -> None:
    with pytest.raises(SpecError, match=r"labels_of_a_user\.Numbers failed at an answer .*KeyError: 'thirteen'"):
        checked("labels_of_a_user.Numbers", '{"inner": [13]}')


def test_a_model_that_is_no_object_is_refused() -> None:
    with pytest.raises(SpecError, match=r"labels_of_a_user\.NoObject: at \$: an answer is an object"):
        checked("labels_of_a_user.NoObject", "[1]")
