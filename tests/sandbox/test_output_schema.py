"""Texts with an output schema: what fits lands as an object or as columns, what does not is sent again, and named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException
from pydantic import BaseModel, Field, field_validator

from opensearch_batch import results
from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.test_repair import Rounds, requests_of, sent

CHAT, MODEL = "/v1/chat/completions", "gpt-4o-mini"
LABELS = ["module", "class", "function"]
SCHEMA: dict[str, Any] = {
    "title": "Label of a text",
    "type": "object",
    "additionalProperties": False,
    "required": ["label", "confidence", "summary", "words", "parts"],
    "properties": {
        "label": {"type": "string", "enum": LABELS},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "summary": {"type": ["string", "null"]},
        "words": {"type": "integer"},
        "parts": {"type": "array", "items": {"type": "string"}},
    },
}
ASKED: dict[str, Any] = {
    "model": MODEL,
    "endpoint": CHAT,
    "model_parameters": {"max_tokens": 50},
    "output_schema": SCHEMA,
}


class Label(BaseModel):
    """Reads numbers in quotes, and fills in a default, as pydantic does."""

    label: Literal["module", "class", "function"]
    confidence: float = Field(ge=0, le=1)
    note: str = "none"

    @field_validator("confidence")
    @classmethod
    def _not_sure(cls, value: float) -> float:
        if value == 1:
            raise ValueError("nothing is certain")
        return value


HERE = f"{Label.__module__}.Label"


@pytest.fixture
def chat_id(server: Server) -> str:
    return server.model(CHAT, MODEL)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a module of a worker's."""
    monkeypatch.setitem(sys.modules, Label.__module__, sys.modules[__name__])


def answered_with(server: Server, run: Run, texts: list[str], **asked: Any) -> list[dict[str, Any]]:
    """The outcome of a job whose rows were answered with these texts."""
    chat_id = server.model(CHAT, MODEL)
    outcomes = run.wait(run.submit(chat_id, run.prepare(rows_of(len(texts)), **ASKED | asked)))
    lines = [
        {
            "custom_id": f"row-{number}",
            "response": {"status_code": 200, "body": {"choices": [{"message": {"content": text}}]}},
        }
        for number, text in enumerate(texts)
    ]
    return [{**outcomes[0], "outputs": [server.upload(lines)]}]


def fitting(**other: Any) -> dict[str, Any]:
    return {"label": "class", "confidence": 0.5, "summary": None, "words": 3, "parts": ["a", "b"], **other}


def reasons(run: Run) -> dict[str, tuple[str, str]]:
    return {row_id: (row["code"], row["message"]) for row_id, row in run.landed("failures").items()}


def test_the_vendor_is_told_the_schema_and_answers_land_as_objects(server: Server, chat_id: str, run: Run) -> None:
    run.fetch(run.wait(run.submit(chat_id, run.prepare(rows_of(20), system_prompt="Label the text.", **ASKED))))
    (job,) = requests_of(server)
    assert job[0]["body"]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Label_of_a_text", "strict": True, "schema": SCHEMA},
    }
    assert job[0]["body"]["messages"] == [
        {"role": "system", "content": "Label the text."},
        {"role": "user", "content": "text number 0"},
    ]
    landed = run.landed("results")
    assert len(landed) == 20
    assert {row["output"]["label"] for row in landed.values()} == set(LABELS)
    assert all(set(row["output"]) == set(SCHEMA["properties"]) for row in landed.values())
    table = results.open(f"file://{run.out}/manifest.json").to_arrow()
    assert pyarrow.types.is_struct(table.schema.field("output").type)


def test_responses_are_told_and_checked_too(server: Server, run: Run) -> None:
    model_id = server.model("/v1/responses", MODEL)
    asked = ASKED | {"endpoint": "/v1/responses", "model_parameters": {}, "system_prompt": "Label the text."}
    run.fetch(run.wait(run.submit(model_id, run.prepare(rows_of(3), **asked))))
    (job,) = requests_of(server)
    body = job[0]["body"]
    assert body["text"]["format"] == {
        "type": "json_schema", "name": "Label_of_a_text", "strict": True, "schema": SCHEMA
    }  # fmt: skip
    assert body["instructions"] == "Label the text."
    assert {row["output"]["label"] for row in run.landed("results").values()} <= set(LABELS)


def test_properties_are_columns_of_parquet(server: Server, run: Run) -> None:
    values = [fitting(words=7.0, confidence=1), fitting(summary="s", label="module", parts=[])]
    run.fetch(answered_with(server, run, [json.dumps(value) for value in values]), output_format="parquet")
    (uri,) = (entry["uri"] for entry in run.manifest["files"])
    table = pyarrow.parquet.read_table(uri.removeprefix("file://"))
    types = {name: str(table.schema.field(name).type) for name in SCHEMA["properties"]}
    assert types == {
        "label": "string", "confidence": "double", "summary": "string", "words": "int64", "parts": "string"
    }  # fmt: skip
    assert "output" not in table.schema.names
    found = [{name: row[name] for name in types} for row in table.to_pylist()]
    assert found == [
        fitting(words=7, confidence=1.0, parts='["a","b"]'),
        fitting(summary="s", label="module", parts="[]"),
    ]


def test_what_does_not_fit_is_named_with_path_and_raw_answer(server: Server, run: Run) -> None:
    texts = {
        json.dumps(fitting(label="methods")): "at $.label: 'methods' is not one of ['module', 'class', 'function']",
        json.dumps(fitting(confidence=2)): "at $.confidence: 2 is greater than the maximum of 1",
        json.dumps(fitting(words=10**20)): "at $.words: 1e+20 is beyond the whole numbers of 64 bits",
        json.dumps(fitting(parts=["a", 1])): "at $.parts[1]: 1 is not of type 'string'",
        json.dumps([fitting()]): "at $: [{",
        "Certainly!": "at $: the answer is no JSON: ",
        "```json\nCertainly!\n```": "at $: the code fence holds no JSON: ",
        '{"label": NaN}': "at $: the answer is no JSON: ",
        "[" * 3000 + "]" * 3000: "at $: the answer is no JSON: ",
    }
    run.fetch(answered_with(server, run, [*texts]), max_failed_fraction=1.0)
    assert run.landed("results") == {}
    for number, (text, begin) in enumerate(texts.items()):
        failure = run.landed("failures")[f"row-{number}"]
        assert failure["code"] == "invalid_output"
        assert failure["message"].startswith(begin), failure["message"]
        assert failure["output"] == text


def test_a_code_fence_around_the_whole_answer_is_taken_off(server: Server, run: Run) -> None:
    fenced = f"```json\n{json.dumps(fitting(), indent=2)}\n```\n"
    run.fetch(answered_with(server, run, [fenced, f"Here it is:\n{fenced}"]), max_failed_fraction=0.5)
    assert run.landed("results")["row-0"]["output"] == fitting()
    assert set(reasons(run)) == {"row-1"}


def test_an_answer_of_a_megabyte_is_kept_whole_and_its_reason_is_short(server: Server, chat_id: str, run: Run) -> None:
    server.fault("odd_objects", **{"as": "long"}, count=1)
    run.fetch(run.wait(run.submit(chat_id, run.prepare(rows_of(3), **ASKED))), max_failed_fraction=0.5)
    ((row_id, failure),) = run.landed("failures").items()
    assert len(failure["output"]) > 1 << 20
    assert len(failure["message"]) <= 300
    assert set(run.landed("results")) == {f"row-{n}" for n in range(3)} - {row_id}


def test_a_refusal_is_named_in_the_models_words(server: Server, chat_id: str, run: Run) -> None:
    server.fault("odd_objects", **{"as": "refusal"}, count=1)
    run.fetch(run.wait(run.submit(chat_id, run.prepare(rows_of(3), **ASKED))), max_failed_fraction=0.5)
    ((code, message),) = reasons(run).values()
    assert (code, message) == ("no_output", "I'm sorry, I cannot assist with that request.")


def test_answers_that_do_not_fit_go_to_a_repair_round_and_land(server: Server, chat_id: str, run: Run) -> None:
    server.fault("odd_objects", **{"as": "misfit"}, count=3)
    rounds = Rounds(run, chat_id, **ASKED)
    (fetched,) = rounds.shards()
    assert fetched["landed"][0]["passing"] == {"invalid_output": 3}
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["failed"]) == (10, 0)
    assert [len(job) for job in sent(server)] == [10, 3]
    assert all(row["output"]["label"] in LABELS for row in run.landed("results").values())


def test_after_the_last_round_a_misfit_is_a_failure_with_its_last_answer(
    server: Server, chat_id: str, run: Run
) -> None:
    rounds = Rounds(run, chat_id, max_failed_fraction=0.3, **ASKED)
    server.fault("odd_objects", **{"as": "misfit"}, count=3)
    rounds.shards()
    server.fault("odd_objects", **{"as": "no_json"}, count=1)
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["failed"], report["codes"]) == (9, 1, {"invalid_output": 1})
    ((_, failure),) = run.landed("failures").items()
    assert failure["output"].startswith("Certainly!")


def test_rows_that_no_round_took_keep_the_raw_answer(server: Server, chat_id: str, run: Run) -> None:
    rounds = Rounds(run, chat_id, max_failed_fraction=0.3, **ASKED)
    server.fault("odd_objects", **{"as": "misfit"}, count=2)
    rounds.shards()
    assert rounds.report()["failed"] == 2
    assert {row["output"] for row in run.landed("failures").values()} == {'{"unasked": true}'}


def test_a_text_cut_by_a_limit_is_not_sent_again(server: Server, run: Run) -> None:
    outcomes = answered_with(server, run, ['{"label": "cla'])
    file_id = server.upload(
        [
            {
                "custom_id": "row-0",
                "response": {
                    "status_code": 200,
                    "body": {"choices": [{"message": {"content": '{"label": "cla'}, "finish_reason": "length"}]},
                },
            }
        ]
    )
    fetched = run.fetch([{**outcomes[0], "outputs": [file_id]}], final=False, repair=True)
    landed = fetched["landed"][0]
    assert (landed["codes"], landed["passing"]) == ({"invalid_output": 1}, {})
    assert landed["examples"][0]["message"].endswith("a limit of tokens ended the text: raise it")


def test_a_schema_that_the_vendor_refuses_is_named_per_row_in_its_words(server: Server, chat_id: str, run: Run) -> None:
    schema = {**SCHEMA, "allOf": [{"required": ["label"]}]}
    run.fetch(
        run.wait(run.submit(chat_id, run.prepare(rows_of(2), **ASKED | {"output_schema": schema}))),
        max_failed_fraction=1.0,
    )
    assert set(reasons(run).values()) == {
        (
            "invalid_request_error",
            "Invalid schema for response_format 'Label_of_a_text': In context=(), 'allOf' is not permitted.",
        )
    }


def test_an_open_schema_is_not_strict_and_is_checked_all_the_same(server: Server, chat_id: str, run: Run) -> None:
    schema = {"type": "object", "properties": {"label": {"enum": LABELS}}, "required": ["label"]}
    run.fetch(run.wait(run.submit(chat_id, run.prepare(rows_of(2), **ASKED | {"output_schema": schema}))))
    (job,) = requests_of(server)
    assert job[0]["body"]["response_format"]["json_schema"]["strict"] is False
    assert len(run.landed("results")) == 2


def test_a_pydantic_model_reads_fills_in_and_refuses_as_it_does_elsewhere(server: Server, run: Run) -> None:
    texts = ['{"label": "class", "confidence": "0.5"}', '{"label": "class", "confidence": 1}', '{"label": "x"}']
    outcomes = answered_with(server, run, texts, output_schema=HERE)
    run.fetch(outcomes, max_failed_fraction=1.0)
    assert {row_id: row["output"] for row_id, row in run.landed("results").items()} == {
        "row-0": {"label": "class", "confidence": 0.5, "note": "none"}
    }
    assert reasons(run) == {
        "row-1": ("invalid_output", "at $.confidence: Value error, nothing is certain"),
        "row-2": ("invalid_output", "at $.label: Input should be 'module', 'class' or 'function'"),
    }


def test_the_schema_of_a_file_is_that_of_the_preparation(server: Server, chat_id: str, run: Run) -> None:
    path = run.folder / "label.json"
    path.write_text(json.dumps(SCHEMA))
    outcomes = run.wait(run.submit(chat_id, run.prepare(rows_of(2), **ASKED | {"output_schema": f"file://{path}"})))
    path.unlink()
    run.fetch(outcomes)
    assert {row["output"]["label"] for row in run.landed("results").values()} <= set(LABELS)


def test_another_schema_is_another_job_of_the_run(server: Server, chat_id: str, run: Run) -> None:
    for schema in (SCHEMA, SCHEMA, {**SCHEMA, "description": "Another."}):
        run.submit(chat_id, run.prepare(rows_of(2), **ASKED | {"output_schema": schema}))
    assert len(server.ledger) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"output_schema": {"type": "objekt"}}, "model.output_schema is no JSON schema: at $.type: 'objekt' is not"),
        ({"output_schema": {"type": "array", "items": {}}}, "model.output_schema: at $: an answer is an object"),
        (
            {"output_schema": {"type": "object", "properties": {"a": {"$ref": "https://example.org/x.json"}}}},
            "at $.properties.a: $ref 'https://example.org/x.json' points to nothing in the schema",
        ),
        ({"output_schema": "file:///nowhere/label.json"}, "there is no object file:///nowhere/label.json"),
        ({"output_schema": "nowhere.models.Label"}, "model.output_schema nowhere.models.Label: No module named"),
        ({"output_schema": "json.dumps"}, "and no pydantic model"),
        ({"output_schema": "label"}, "neither a URI (file://…, s3://…) nor the import path"),
        (
            {"model_parameters": {"response_format": {"type": "json_object"}}},
            "'response_format' and model.output_schema are two ways",
        ),
        (
            {"endpoint": "/v1/embeddings", "model": "text-embedding-3-small", "model_parameters": {}},
            "model.output_schema is for answers of text, and /v1/embeddings answers with vectors",
        ),
        (
            {"overrides": {"output.format": "parquet", "output.include": ["label"]}},
            "model.output_schema: a Parquet result has its own label",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_is_sent(
    server: Server, run: Run, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        run.prepare(rows_of(2), **ASKED | given)
    assert said in str(caught.value)
    assert server.uploads() == []


@pytest.mark.parametrize(("content", "said"), [(b"{broken", "is no JSON"), (b"[1]", "is list, and no JSON schema")])
def test_a_file_that_holds_no_schema_is_named(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "label.json"
    path.write_bytes(content)
    with pytest.raises(AirflowFailException) as caught:
        run.prepare(rows_of(2), **ASKED | {"output_schema": f"file://{path}"})
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_template_has_conditions_and_escapes_and_names_a_row_without_its_field(server: Server, run: Run) -> None:
    path = run.folder / "label.j2"
    path.write_text("<text>{{ text | e }}</text>{% if lang != 'en' %} It is {{ lang }}.{% endif %}")
    rows = [{"id": "a", "text": "1 < 2", "lang": "de"}, {"id": "b", "text": "{{ text }}", "lang": "en"}]
    asked = ASKED | {"template": f"file://{path}"}
    outcomes = run.wait(run.submit(server.model(CHAT, MODEL), run.prepare(rows, **asked)))
    (job,) = requests_of(server)
    assert [line["body"]["messages"][-1]["content"] for line in job] == [
        "<text>1 &lt; 2</text> It is de.",
        "<text>{{ text }}</text>",
    ]
    assert run.fetch(outcomes)["report"]["answered"] == 2
    with pytest.raises(AirflowFailException) as caught:
        run.prepare([*rows, {"id": "c", "text": "x"}], **asked)
    assert "line 3" in str(caught.value)
    assert "the template: 'lang' is undefined; the row has id, text" in str(caught.value)


def test_the_plan_counts_what_is_sent_beside_the_text(run: Run) -> None:
    run.prepare(rows_of(10), **{name: value for name, value in ASKED.items() if name != "output_schema"})
    plain = run.xcoms["prepare", "plan"]["estimated_tokens"]
    run.prepare(rows_of(10), **ASKED, system_prompt="Label the text. " * 100)
    assert run.xcoms["prepare", "plan"]["estimated_tokens"] > plain + 10 * 400


INSTRUCTIONS = "Label the text. " * 100
ON_BEDROCK = {
    "provider": "bedrock",
    "job": {"files_uri": "s3://corpus/jobs", "role_arn": "arn:aws:iam::123456789012:role/batches"},
}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"endpoint": CHAT}, {"max_tokens": 20, "messages": [{"role": "system", "content": INSTRUCTIONS}]}),
        ({"endpoint": CHAT}, {"max_tokens": 20, "response_format": {"type": "json_schema", "title": INSTRUCTIONS}}),
        ({"endpoint": "/v1/responses"}, {"max_output_tokens": 20, "instructions": INSTRUCTIONS}),
        ({"endpoint": "/v1/responses"}, {"max_output_tokens": 20, "instructions": INSTRUCTIONS.replace(" ", "")}),
        (ON_BEDROCK | {"name": "anthropic.claude-3-haiku-20240307-v1:0"}, {"system": INSTRUCTIONS}),
        (
            ON_BEDROCK | {"name": "anthropic.claude-3-haiku-20240307-v1:0"},
            {"tools": [{"name": "label", "description": INSTRUCTIONS, "input_schema": SCHEMA}]},
        ),
        (
            ON_BEDROCK | {"name": "amazon.nova-lite-v1:0"},
            {"system": [{"text": INSTRUCTIONS}], "inferenceConfig": {"maxTokens": 20}},
        ),
    ],
)
def test_the_plan_counts_what_the_parameters_say_with_every_row(
    run: Run, model: dict[str, Any], said: dict[str, Any]
) -> None:
    uri = run.write(rows_of(100))
    spec = {
        "name": "by_hand",
        "model": {"name": MODEL, **model, "parameters": said},
        "input": {"uri": uri},
        "output": {"uri": f"file://{run.out}"},
    }
    run.prepare(uri, spec=spec, model=None, model_parameters=None, dry_run=True)
    assert 100 * 300 < run.xcoms["prepare", "plan"]["estimated_tokens"] < 100 * 600


def test_a_limit_of_money_holds_what_goes_with_every_row(run: Run) -> None:
    """3000 tokens with each of 500 rows, at $0.075 a million."""
    said = {"max_tokens": 20, "messages": [{"role": "system", "content": "x" * 12_000}]}
    with pytest.raises(AirflowFailException, match=r"max_cost_usd is 0.05, the plan is above it: .* about \$0\.11"):
        run.prepare(rows_of(500), model=MODEL, endpoint=CHAT, model_parameters=said, max_cost_usd=0.05)


def test_settings_of_vectors_are_no_text(run: Run) -> None:
    run.prepare(rows_of(10), model_parameters={})
    plain = run.xcoms["prepare", "plan"]["estimated_tokens"]
    run.prepare(rows_of(10), model_parameters={"dimensions": 8, "encoding_format": "base64"})
    assert run.xcoms["prepare", "plan"]["estimated_tokens"] == plain
