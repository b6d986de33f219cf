"""What is wrong in a spec, in words for its author: where a key belongs, and the form that is expected of a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError, create_model

from opensearch_batch.dotted import with_dotted
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from opensearch_batch.wrong_field import explained, section_of
from tests.unit.test_spec import spec

if TYPE_CHECKING:
    from pydantic import BaseModel


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (spec(limits={"finish_by": 8}), "unknown key 'limits.finish_by': the field's place is wait.finish_by"),
        (spec(text_field="body"), "unknown key 'text_field': the field's place is input.text_field"),
        (spec(wait={"uri": "x"}), "unknown key 'wait.uri': the field's place is input.uri, output.uri or reuse.uri"),
        (spec(wait={"work_uri": "x"}), "unknown key 'wait.work_uri': the field's place is work_uri at the top level"),
        (spec(limits={"timeout_hours": 3}), "did you mean 'ask_timeout_hours'? Or wait.timeout_hours?"),
        (spec(limits={"finish_bye": 8}), "unknown key 'limits.finish_bye', did you mean wait.finish_by?"),
        (
            spec(model={"name": "m", "temperature": 0}),
            "stands in model.parameters, and settings of the vendor's job in",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_in_the_wrong_section_is_refused_with_its_place(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        BatchSpec.check(wrong)


def sections(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    for name, field in model.model_fields.items():
        if section := section_of(field):
            yield (*above, name), section
            yield from sections(section, (*above, name))


SECTIONS = dict(sections(BatchSpec))


def test_every_section_of_a_spec_is_tried() -> None:
    assert {*SECTIONS} >= {("model",), ("wait",), ("limits",), ("input", "images"), ("input", "chunks"), ("parity",)}
    assert len(SECTIONS) == 11


@pytest.mark.parametrize("path", SECTIONS, ids=".".join)
@pytest.mark.parametrize("said", ["06:30", 5, True, ["06:30"]], ids=str)
def test_a_value_in_place_of_a_section_is_refused_with_an_example(path: tuple[str, ...], said: Any) -> None:
    wrong: dict[str, Any] = with_dotted(spec(), {".".join(path): said})
    with pytest.raises(SpecError) as caught:
        BatchSpec.check(wrong)
    found = re.search(
        rf"{'.'.join(path)}: a section with fields of its own .e.g. (.*). is expected, not", str(caught.value)
    )
    assert found, caught.value
    example = yaml.safe_load(found[1])
    assert [*example] == [path[-1]]
    assert SECTIONS[path].model_validate(example[path[-1]])


@pytest.mark.parametrize("said", [None, [], "articles"], ids=str)
def test_what_is_no_spec_is_refused_with_a_spec(said: Any) -> None:
    with pytest.raises(SpecError, match="the spec: a section with fields of its own") as caught:
        BatchSpec.check(said)
    assert BatchSpec.check(yaml.safe_load(str(caught.value).partition("e.g. ")[2].rpartition(") is")[0]))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (spec(limits=None), "limits: a section with fields of its own"),
        (spec(limits=None), "is expected: nothing stands there"),
        (spec(input={"uri": None}), "input.uri: a text is expected: nothing stands there"),
        (spec(output={}), "output.uri: this field has to be given"),
        (spec(limits={"max_cost_usd": "5 USD"}), "limits.max_cost_usd: a number is expected, not '5 USD'"),
        (spec(limits={"ask_users": "anna"}), "limits.ask_users: a list ([a, b]) is expected, not 'anna'"),
        (spec(model={"name": "m", "parameters": "n"}), "model.parameters: an object (key: value) is expected, not 'n'"),
        (
            spec(model={"name": "m", "output_schema": 5}),
            "model.output_schema: a text or an object (key: value) is expec",
        ),
        (spec(wait={"finish_by": [1]}), "wait.finish_by: a number or a text is expected, not [1]"),
        (
            spec(output={"uri": "file:///out", "include": [1]}),
            "output.include.0: a text is expected, not 1",
        ),
        (spec(name="my batch"), "name: the form of 'nightly_articles' is expected (^[A-Za-z0-9][A-Za-z0-9._-]*$), not"),
        (
            spec(model={"name": "m", "parameters": {"logit_bias": {50256: -100}}}),
            "model.parameters.logit_bias: the key 50256 is no text. Write it in quotes",
        ),
        (
            spec(model={"name": "m", "output_schema": {"properties": {True: {"type": "string"}}}}),
            "output_schema.properties: the key True is no text. YAML reads yes, no, on and off without quotes as",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_of_another_form_is_refused_with_the_form_in_words(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        BatchSpec.check(wrong)


def test_a_form_without_words_of_its_own_is_told_in_pydantics() -> None:
    settings = create_model("Settings", day=(date, ...))
    with pytest.raises(ValidationError) as caught:
        settings.model_validate({"day": "tomorrow"})
    assert explained(caught.value, settings, "model.job").startswith("model.job.day: Input should be a valid date")


def nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def test_a_spec_that_is_nested_too_deeply_is_refused_as_such(tmp_path: Path) -> None:
    wrong = spec(model={"name": "m", "parameters": nested(2000)})
    with pytest.raises(SpecError, match="^spec: it is nested too deeply$"):
        BatchSpec.check(wrong)
    path = tmp_path / "deep.yaml"
    path.write_text("name: " + "[" * 500 + "]" * 500)
    with pytest.raises(SpecError, match=r"^spec .*deep\.yaml: it is nested too deeply$"):
        BatchSpec.load(path)


def test_an_element_is_told_by_the_form_of_its_list() -> None:
    settings = create_model("Settings", rows=(list[list[int]], ...), days=(list[date], ...))
    with pytest.raises(ValidationError) as caught:
        settings.model_validate({"rows": [[1, "x"], 5], "days": ["tomorrow"]})
    first, second, third = explained(caught.value, settings, "model.job").split("; ")
    assert first == "model.job.rows.0.1: a whole number is expected, not 'x'"
    assert second == "model.job.rows.1: a list ([a, b]) is expected, not 5"
    assert third.startswith("model.job.days.0: Input should be a valid date")


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(SpecError) as caught:
        BatchSpec.check(spec(wait="x" * 5000))
    assert len(str(caught.value)) < 300
