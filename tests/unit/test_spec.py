"""BatchSpec: what a person may write, and what they are told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.schema import schema_text
from opensearch_batch.spec import BatchSpec
from opensearch_batch.yaml_file import read_yaml

SPECS = Path(__file__).resolve().parents[2] / "dags" / "specs"


def into_index(back: dict[str, Any], **read: Any) -> dict[str, Any]:
    uri = {"uri": "opensearch://cluster/articles"}
    return spec(input={**uri, **read}, write_back={"vector_field": "vector", **back})


def spec(**sections: Any) -> dict[str, Any]:
    return {
        "name": "articles",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": "file:///in.jsonl"},
        "output": {"uri": "file:///out"},
        **sections,
    }


def test_the_shortest_spec_is_enough_and_fills_in_the_rest() -> None:
    made = BatchSpec.check(spec())
    assert (made.model.provider, made.model.endpoint, made.registered_as) == ("openai", "/v1/embeddings", "articles")
    assert (made.provider_connection, made.connections.opensearch) == ("openai_default", "opensearch_default")
    assert made.wait.timeout_hours is None
    assert not made.may_be_empty


@pytest.mark.parametrize(
    ("wrong", "path", "near"),
    [
        (spec(modle={}), "modle", "model"),
        (spec(model={"name": "m", "endpont": "/v1/embeddings"}), "model.endpont", "endpoint"),
        (spec(input={"uri": "file:///in", "id_feild": "key"}), "input.id_feild", "id_field"),
        (spec(output={"uri": "file:///out", "url": "x"}), "output.url", "uri"),
        (spec(limits={"max_request": 5}), "limits.max_request", "max_requests"),
        (spec(wait={"poll_second": 5}), "wait.poll_second", "poll_seconds"),
        (spec(connections={"opensearh": "x"}), "connections.opensearh", "opensearch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_key_is_refused_with_the_nearest_right_one(wrong: dict[str, Any], path: str, near: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"unknown key {path!r}, did you mean {near!r}?")):
        BatchSpec.check(wrong)


def test_an_unknown_key_unlike_any_other_gets_no_guess() -> None:
    with pytest.raises(SpecError, match=r"unknown key 'xyzzy'$"):
        BatchSpec.check(spec(xyzzy=1))


CHAT = {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions"}


def chat(bound: Any) -> dict[str, Any]:
    return spec(model={**CHAT, "parameters": {"max_tokens": bound}}, limits={"max_cost_usd": 5})


@pytest.mark.parametrize(
    ("bound", "says"),
    [(None, "limits.max_cost_usd cannot hold: an answer has no bound of tokens"), ("many", "is no whole number")],
)
def test_a_bound_of_money_needs_a_bound_of_the_answers(bound: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        BatchSpec.check(chat(bound))
    assert BatchSpec.check(chat(50))
    assert BatchSpec.check(spec(limits={"max_cost_usd": 5})), "a vector is no answer of many tokens"


def test_a_bound_that_airflow_fills_in_later_is_looked_at_then() -> None:
    assert BatchSpec.check(chat("{{ params.longest }}"))


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        BatchSpec.check({"name": "a b", "model": {}, "input": {"uri": "file:///in", "max_records": 0}})
    assert all(part in str(caught.value) for part in ("name:", "model.name:", "input.max_records:", "output:"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (spec(model={"name": "m", "provider": "opnai"}), "unknown provider 'opnai'; did you mean 'openai'?"),
        (spec(model={"name": "m", "endpoint": "/v1/audio"}), "model.endpoint '/v1/audio' is not one of /v1/embeddings"),
        (spec(name="../escape"), "name:"),
        (spec(limits={"max_failed_fraction": 1.5}), "limits.max_failed_fraction:"),
        (spec(wait={"poll_seconds": 0}), "wait.poll_seconds:"),
        (into_index({"provenance_index": "articles"}), "articles is the index of the documents. Name another"),
        (into_index({"provenance_index": "beside", "provenance_field": "in"}), "are two places: name one of them"),
        (into_index({"provenance_index": "Beside"}), "the form of 'article-provenance' is expected"),
        (
            into_index({"provenance_index": "beside", "vector_field": "chunks.vector"}, chunks={"size": 50}),
            "write_back.provenance_index is for one vector a document",
        ),
        (["a", "list"], "the spec:"),
        (None, "the spec:"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(wrong: Any, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        BatchSpec.check(wrong)


def test_a_spec_travels_as_a_dict() -> None:
    made = BatchSpec.check(spec(limits={"max_cost_usd": 2.5}, dry_run=True))
    assert BatchSpec.check(made.to_dict()) == made
    assert BatchSpec.of(made.to_dict()) == made


def test_override_replaces_dotted_keys_and_none_leaves_the_specs_own() -> None:
    made = BatchSpec.check(spec(limits={"max_cost_usd": 5}))
    changed = made.override(
        {"model.name": "other", "input.max_records": "10", "dry_run": "True", "limits.max_cost_usd": None}
    )
    assert (changed.model.name, changed.input.max_records, changed.dry_run) == ("other", 10, True)
    assert changed.limits.max_cost_usd == 5
    assert made.model.name == "text-embedding-3-small"


def test_override_refuses_an_unknown_dotted_key() -> None:
    with pytest.raises(SpecError, match=re.escape("unknown key 'model.nam', did you mean 'name'?")):
        BatchSpec.check(spec()).override({"model.nam": "x"})


def test_override_of_a_key_below_a_plain_value_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match="name"):
        BatchSpec.check(spec()).override({"name.first": "x"})


def test_resolve_fills_in_environment_and_placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", "file:///data")
    made = BatchSpec.check(
        spec(
            input={"uri": "${BATCH_TEST_ROOT}/{partition}/*.jsonl"},
            output={"uri": "${BATCH_TEST_ROOT}/{run_id}"},
            work_uri="${BATCH_TEST_ROOT}/work",
        )
    ).resolve(partition="2026-01-31", run_id="manual-1")
    assert made.input.uri == "file:///data/2026-01-31/*.jsonl"
    assert made.output.uri == "file:///data/manual-1"
    assert made.work_uri == "file:///data/work"


@pytest.mark.parametrize("root", ["s3://aws@corpus", "s3://aws@corpus/", "s3://aws@corpus//"])
def test_a_folder_is_the_same_with_a_slash_at_its_end(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", root)
    made = BatchSpec.check(
        spec(
            input={"uri": "${BATCH_TEST_ROOT}/in/{partition}/*.jsonl"},
            output={"uri": "${BATCH_TEST_ROOT}/{run_id}/"},
            reuse={"uri": "${BATCH_TEST_ROOT}"},
            work_uri="${BATCH_TEST_ROOT}/work//",
        )
    ).resolve(partition="2026-01-31", run_id="r")
    assert made.input.uri == "s3://aws@corpus/in/2026-01-31/*.jsonl"
    assert (made.output.uri, made.work_uri) == ("s3://aws@corpus/r", "s3://aws@corpus/work")
    assert made.reuse
    assert made.reuse.uri == "s3://aws@corpus"


def test_the_root_of_a_machine_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", "file:///")
    made = BatchSpec.check(spec(output={"uri": "${BATCH_TEST_ROOT}"}, work_uri="${BATCH_TEST_ROOT}data/work/"))
    resolved = made.resolve(partition=None, run_id="r")
    assert (resolved.output.uri, resolved.work_uri) == ("file:///", "file:///data/work")


def test_an_unset_environment_variable_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATCH_TEST_ROOT", raising=False)
    made = BatchSpec.check(spec(output={"uri": "${BATCH_TEST_ROOT}/out"}))
    with pytest.raises(SpecError, match=r"output\.uri: environment variable BATCH_TEST_ROOT is not set"):
        made.resolve(partition=None, run_id="r")


def test_an_unknown_placeholder_is_refused_with_the_known_ones() -> None:
    made = BatchSpec.check(spec(input={"uri": "file:///in/{ds}.jsonl"}, work_uri="file:///w"))
    with pytest.raises(SpecError, match=r"unknown placeholder \{ds\} in .*known: partition, run_id"):
        made.resolve(partition="p", run_id="r")


@pytest.mark.parametrize("repeated", ["[a-z]{3}", "[a-z]{3,}-{10}"])
def test_what_a_regular_expression_repeats_is_no_placeholder(repeated: str) -> None:
    query = {"bool": {"filter": [{"regexp": {"sku": repeated}}, {"term": {"day": "{partition}"}}]}}
    made = BatchSpec.check(spec(input={"uri": "opensearch://corpus/articles", "query": query}, work_uri="file:///w"))
    found: Any = made.resolve(partition="2026-01-31", run_id="r").input.query
    assert found["bool"]["filter"] == [{"regexp": {"sku": repeated}}, {"term": {"day": "2026-01-31"}}]


def test_a_run_without_the_partition_that_is_asked_for_is_told_how_to_name_one() -> None:
    made = BatchSpec.check(spec(input={"uri": "file:///in/{partition}.jsonl"}, work_uri="file:///w"))
    assert made.may_be_empty
    with pytest.raises(SpecError, match=r"this run has no partition\. Name it in the run's conf"):
        made.resolve(partition=None, run_id="r")


@pytest.mark.parametrize(
    ("uri", "said", "may"),
    [
        ("file:///in/{partition}.jsonl", None, True),
        ("file:///in/{partition}.jsonl", False, False),
        ("file:///in.jsonl", None, False),
        ("file:///in.jsonl", True, True),
    ],
)
def test_what_the_spec_says_about_no_rows_wins_over_the_kind_of_input(uri: str, said: bool | None, may: bool) -> None:
    made = BatchSpec.check(spec(input={"uri": uri, "allow_empty": said}, work_uri="file:///w"))
    resolved = made.resolve(partition="2026-01-31", run_id="r")
    assert (made.may_be_empty, resolved.may_be_empty) == (may, may)
    assert BatchSpec.check(resolved.to_dict()).may_be_empty is may


def test_the_schema_for_editors_is_up_to_date() -> None:
    assert (SPECS / "batch_spec.schema.json").read_text(encoding="utf-8") == schema_text(), (
        "run: python -m opensearch_batch.schema > dags/specs/batch_spec.schema.json"
    )


def test_every_spec_beside_the_dags_loads() -> None:
    found = sorted(SPECS.glob("*.yaml"))
    assert [path.stem for path in found] == [BatchSpec.load(path).name for path in found]
    assert {path.stem for path in found} >= {"embed_stdlib_docs", "nightly_articles"}


def test_a_key_that_stands_twice_is_refused_by_name_and_line(tmp_path: Path) -> None:
    """YAML keeps the last: a limit of the first would be gone."""
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\nlimits: {max_cost_usd: 5}\nwait: {poll_seconds: 2}\nlimits: {max_straggler_usd: 1}\n")
    with pytest.raises(SpecError, match=r"'limits' stands there twice(.|\n)*line 4"):
        BatchSpec.load(path)


def test_keys_of_an_anchor_may_be_said_again(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("one: &one {a: 1, b: 2}\ntwo: {<<: *one, b: 3}\n")
    assert read_yaml(path)["two"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% if title %}{{ title }}", r"input.template, line 1: Unexpected end of template.*'endif'"),
        ("{{ title }}\n{{ body", "input.template, line 2: unexpected end of template"),
        ("{{ title | shorten }}", "input.template, line 1: No filter named 'shorten'"),
    ],
)
def test_a_template_that_jinja_cannot_read_is_refused_by_its_line(template: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "template": template}))


@pytest.mark.parametrize("template", ["{title}: {text}", "{% for n in range(3) %}{title}{% endfor %}"])
def test_a_template_whose_only_fields_are_those_of_a_prompt_is_refused(template: str) -> None:
    with pytest.raises(
        SpecError, match=r"input.template: \{title\} is no field: write \{\{ title \}\}, or say input.prompt"
    ):
        BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "template": template}))


@pytest.mark.parametrize("template", ["Answer as {label}: {{ text }}", "{% if text %}{label}{% endif %}", "the same"])
def test_a_brace_of_a_templates_text_stands_alone(template: str) -> None:
    made = BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "template": template}))
    assert made.input.template == template


def test_a_file_that_a_variable_leads_to_is_no_template_and_no_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", "file:///data")
    read = {"uri": "file:///in.jsonl", "template": "${BATCH_TEST_ROOT}/prompt.j2"}
    model = {**CHAT, "output_schema": "${BATCH_TEST_ROOT}/label.json"}
    made = BatchSpec.check(spec(input=read, model=model, work_uri="file:///w")).resolve(partition=None, run_id="r")
    assert (made.input.template, made.model.output_schema) == ("file:///data/prompt.j2", "file:///data/label.json")


def test_the_name_of_a_schemas_or_templates_file_may_have_spaces() -> None:
    named = "file:///our files/{partition} label"
    read = {"uri": "file:///in.jsonl", "template": named}
    model = {**CHAT, "output_schema": named}
    made = BatchSpec.check(spec(input=read, model=model, work_uri="file:///w")).resolve(partition="de", run_id="r")
    assert made.input.template == made.model.output_schema == "file:///our files/de label"


@pytest.mark.parametrize("prompt", ["Label {{ title }}.", "Label {{title}}.", "Label {{ title | upper }}."])
def test_a_prompt_whose_only_fields_are_those_of_jinja_is_refused(prompt: str) -> None:
    with pytest.raises(
        SpecError, match=r"input.prompt: \{\{.*\}\} is no field: write \{title\}, or say input.template"
    ):
        BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "prompt": prompt}))


@pytest.mark.parametrize("prompt", ['Answer as {{"label": "…"}}: {title}', "Fill in {{name}}: {title}", "the same"])
def test_braces_of_the_text_itself_are_written_twice(prompt: str) -> None:
    assert BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "prompt": prompt})).input.prompt == prompt


@pytest.mark.parametrize("prompt", ["{title", "title}", "{title!}"])
def test_a_prompt_with_a_brace_alone_is_refused(prompt: str) -> None:
    with pytest.raises(SpecError, match=r"input.prompt: .*written twice"):
        BatchSpec.check(spec(input={"uri": "file:///in.jsonl", "prompt": prompt}))


def test_loading_an_absent_file_or_something_else_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml: No such file"):
        BatchSpec.load(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [unclosed")
    with pytest.raises(SpecError, match=r"broken\.yaml: not YAML"):
        BatchSpec.load(broken)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SpecError, match=r"binary\.yaml: not YAML"):
        BatchSpec.load(binary)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: a\nmodle: {name: m}\n")
    with pytest.raises(SpecError, match=r"wrong\.yaml: .*unknown key 'modle', did you mean 'model'"):
        BatchSpec.load(wrong)


def test_loading_a_folder_names_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=re.escape(str(tmp_path))):
        BatchSpec.load(tmp_path)
