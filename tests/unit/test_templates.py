"""Templates: the text of a row by Jinja, in its sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.templates import Template, UnfilledTemplate, wording_of
from opensearch_batch.spec import BatchSpec

ROW = {"id": "a", "title": "Ants & bees", "tags": ["x", "y"], "lang": None}


def spec(**read: str) -> BatchSpec:
    parts = {"name": "n", "model": {"name": "m"}, "output": {"uri": "file:///out"}}
    return BatchSpec.check({**parts, "input": {"uri": "file:///in", **read}})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title }}", "Ants & bees"),
        ("{{ title | e }}", "Ants &amp; bees"),
        ("{{ tags | tojson }}", '["x", "y"]'),
        ("{% if lang %}{{ lang }}{% else %}unknown{% endif %}", "unknown"),
        ("{% for tag in tags %}<{{ tag }}>{% endfor %}", "<x><y>"),
        ("{% if more is defined %}{{ more }}{% endif %}.", "."),
        ("{a} {{ title }}", "{a} Ants & bees"),
        ("the same", "the same"),
    ],
)
def test_a_template_has_conditions_loops_and_filters(source: str, text: str) -> None:
    assert text_of(ROW, "text", Template(source)) == text


NULLS = {
    "title": None,
    "body": "Ants",
    "about": {"by": None, "year": 1900},
    "tags": ["x", None],
    "authors": [{"name": None}, {"name": "Ada"}],
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title }}{{ body }}", "Ants"),
        ("{{ about.by }}{{ body }}", "Ants"),
        ("{{ title | e }}|{{ title | trim }}|{{ about.by | upper }}|{{ title | truncate(5) }}", "|||"),
        ("{{ title ~ body ~ about.by }}", "Ants"),
        ("{{ [title, body] | join(';') }}", ";Ants"),
        ("{{ tags | map('upper') | join(',') }}", "X,"),
        ("{{ authors | join(', ', attribute='name') }}", ", Ada"),
        ("{% for tag in tags %}<{{ tag }}>{% endfor %}", "<x><>"),
        ("{% set both = title ~ body %}{{ both | lower }}", "ants"),
        ("{{ title | default('none', true) }}", "none"),
        ("{{ title is none }}", "True"),
        ("{{ title | tojson }} {{ about | tojson }}", 'null {"by": null, "year": 1900}'),
    ],
)
def test_a_null_is_empty_where_a_text_is_made_of_it(source: str, text: str) -> None:
    assert text_of(NULLS, "text", Template(source)) == text


@pytest.mark.parametrize("source", ["{{ title }}", "{{ title | trim }}\n{{ about.by }}", "{{ title ~ about.by }}"])
def test_a_template_of_nulls_alone_is_an_empty_text(source: str) -> None:
    with pytest.raises(WrongRow, match="the text of the prompt is empty"):
        text_of(NULLS, "text", Template(source))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ titel }}", "'titel' is undefined"),
        ("{{ title.nope }}", "has no attribute 'nope'"),
        ("{% if more %}x{% endif %}", "'more' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ title + 1 }}", "can only concatenate str"),
        ("{{ title.__class__.__mro__ }}", "is unsafe"),
        ("{{ tags.append('z') }}", "'append' of 'list' object is unsafe"),
    ],
)
def test_what_cannot_be_filled_is_a_wrong_row(source: str, why: str) -> None:
    with pytest.raises(UnfilledTemplate, match=why):
        Template(source).filled(ROW)
    with pytest.raises(WrongRow, match="the template: .*; the row has id, lang, tags, title"):
        text_of(ROW, "text", Template(source))


def test_a_template_in_a_file_whose_fields_are_those_of_a_prompt_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "label.j2"
    file.write_text("{title}: {text}")
    with pytest.raises(SpecError, match=r"input.template: \{title\} is no field: write \{\{ title \}\}"):
        wording_of(spec(template=file.as_uri()).input)


def test_what_is_no_template_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"input\.template, line 2: "):
        Template("fine\n{% if %}")


def test_its_fields_are_what_it_may_ask_of_a_row() -> None:
    assert Template("{{ title }}{% if lang %}{{ about.x }}{% endif %}{% set y = 1 %}{{ y }}").fields == [
        "about", "lang", "title"
    ]  # fmt: skip


FUNCTIONS = ("range", "dict", "lipsum", "cycler", "joiner", "namespace")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_field_may_have_the_name_of_a_function_of_jinja(name: str) -> None:
    template = Template(f"Model 3: {{{{ {name} }}}} km")
    assert template.fields == [name]
    assert text_of({name: 420}, "text", template) == "Model 3: 420 km"
    with pytest.raises(WrongRow, match=f"the template: '{name}' is undefined; the row has id"):
        text_of({"id": "a"}, "text", template)
    asking = Template(f"{{% if {name} is defined %}}{{{{ {name} }}}} km{{% else %}}unknown{{% endif %}}")
    assert text_of({"id": "a"}, "text", asking) == "unknown"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{% set a = namespace(n=0) %}{% for tag in tags %}{% set a.n = a.n + 1 %}{% endfor %}{{ a.n }}", "2"),
        ("{% set comma = joiner(', ') %}{% for tag in tags %}{{ comma() }}{{ tag }}{% endfor %}", "x, y"),
        ("{{ dict(a=title).a }}", "Ants & bees"),
        ("{% for range in tags %}{{ range }}{% endfor %}{{ range(2) | list }}", "xy[0, 1]"),
    ],
)
def test_a_template_may_call_the_functions_of_jinja_whatever_fields_a_row_has(source: str, text: str) -> None:
    template = Template(source)
    assert not {*template.fields} & {*FUNCTIONS}
    assert text_of({**ROW, "range": 420, "dict": "d", "namespace": "n", "joiner": "j"}, "text", template) == text


def test_a_template_stands_in_the_spec_or_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "label.j2"
    path.write_text("File: {{ title }}")
    for said, text in ((f"file://{path}", "File: Ants & bees"), ("Spec: {{ title }}", "Spec: Ants & bees")):
        wording = wording_of(spec(template=said).input)
        assert isinstance(wording, Template)
        assert wording.filled(ROW) == text
    assert wording_of(spec(prompt="{title}").input) == "{title}"
    assert wording_of(spec().input) is None


def test_all_rows_of_a_task_are_worded_alike_though_the_file_is_edited_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "edited.txt"
    file.write_text("Before: {{ title }}")
    read = spec(template=file.as_uri()).input
    hashed = text_of(ROW, "text", wording_of(read))
    file.write_text("After: {{ title }}")
    assert text_of(ROW, "text", wording_of(read)) == hashed == "Before: Ants & bees"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SpecError, match="there is no object file:///nowhere/label.j2"):
        wording_of(spec(template="file:///nowhere/label.j2").input)


@pytest.mark.parametrize("other", [{"prompt": "{text}"}, {"text_field": "body"}])
def test_two_ways_to_say_what_is_sent_are_refused(other: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="two ways to say what is sent"):
        spec(template="{{ text }}", **other)
