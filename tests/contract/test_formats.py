"""Answers of a schema, as the vendors' own clients ask for them; and those that are made odd on order."""

from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import openai
import pytest
from pydantic import BaseModel, ConfigDict

from sandbox.fault_kinds import SHAPES
from sandbox.fitting import fitting
from tests.contract.aws_jobs.cloud import Cloud
from tests.contract.cluster import Cluster
from tests.contract.conftest import Provider
from tests.contract.test_odd_answers import chat, found_in

MODEL = "gpt-4o-mini"


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    kinds: list[Literal["class", "module"]]
    parent: Entry | None


class Label(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: Literal["good", "bad"]
    score: int
    share: float
    sure: bool
    entries: list[Entry]


SCHEMA = Label.model_json_schema()
ASKED: Any = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": SCHEMA}}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def with_schema(count: int) -> list[dict[str, Any]]:
    return [{**line, "body": {**line["body"], "response_format": ASKED}} for line in chat(count)]


def batch_of(provider: Provider, lines: list[dict[str, Any]]) -> openai.types.Batch:
    made = provider.api.batches.create(
        input_file_id=provider.upload(lines), endpoint="/v1/chat/completions", completion_window="24h"
    )
    return provider.end(made.id)


def test_the_sdks_own_parser_reads_the_answers(provider: Provider) -> None:
    messages: Any = [{"role": "user", "content": "Label this."}]
    found = [
        provider.api.chat.completions.parse(model=MODEL, messages=messages, response_format=Label)
        .choices[0]
        .message.parsed
        for _ in range(2)
    ]
    assert isinstance(found[0], Label)
    assert found[0] == found[1], "the same text, the same object"
    assert isinstance(
        provider.api.responses.parse(model=MODEL, input="Label this.", text_format=Label).output_parsed, Label
    )


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        OPEN,
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 200}, "b": {"const": 3}}},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 7, "maximum": 9}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}, "minItems": 3}}},
        {"type": "object", "properties": {"a": {"type": ["number", "null"], "maximum": -1, "minimum": -2}}},
    ],
)
def test_what_is_made_fits(schema: dict[str, Any]) -> None:
    for text in ("Label this.", "", "é" * 500):
        jsonschema.validate(fitting(schema, text), schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (OPEN, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
        ({**OPEN, "additionalProperties": False, "required": []}, "including every key in properties. Missing 'a'."),
        ({"type": "array", "items": {"type": "string"}}, "got 'type: \"array\"'."),
    ],
)
def test_a_schema_that_strict_does_not_take_is_refused(provider: Provider, schema: Any, why: str) -> None:
    asked: Any = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": schema}}
    messages: Any = [{"role": "user", "content": "Label this."}]
    with pytest.raises(openai.BadRequestError, match="Invalid schema for response_format 'label': ") as caught:
        provider.api.chat.completions.create(model=MODEL, messages=messages, response_format=asked)
    assert why in str(caught.value)


@pytest.mark.parametrize("shape", SHAPES["odd_objects"])
def test_odd_objects_of_chats(cluster: Cluster, provider: Provider, shape: str) -> None:
    cluster.fault("odd_objects", **{"as": shape}, count=1)
    lines = found_in(provider, batch_of(provider, with_schema(2)).output_file_id)
    odd, plain = (line["response"]["body"]["choices"][0]["message"] for line in lines)
    Label.model_validate_json(plain["content"])
    assert odd["refusal"] is None or shape == "refusal"
    if shape == "refusal":
        assert (odd["content"], odd["refusal"][:9]) == (None, "I'm sorry")
        return
    with pytest.raises(ValueError, match=r"."):
        Label.model_validate_json(odd["content"])
    assert (len(odd["content"]) > 1 << 20) == (shape == "long")


def test_claude_takes_a_schema(cloud: Cloud) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Label this."}]}]}
    asked |= {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 90}
    asked |= {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    cloud.put("in/a.jsonl", [{"recordId": f"r{n}", "modelInput": asked} for n in range(2)])
    cloud.order("odd_objects", **{"as": "fenced"}, count=1)
    cloud.invoked(arn := cloud.invocation(modelId="anthropic.claude-3-haiku-20240307-v1:0"))
    odd, plain = (line["modelOutput"]["content"][0]["text"] for line in cloud.output(arn))
    assert odd == f"```json\n{plain}\n```"
    Label.model_validate(json.loads(plain))
