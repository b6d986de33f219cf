"""System prompt and output schema, as each vendor takes them."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.openai.instructed import is_strict
from opensearch_batch.providers.sagemaker import provider as sagemaker

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
CLAUDE, NOVA = "us.anthropic.claude-haiku-4-5-20251001-v1:0", "amazon.nova-lite-v1:0"
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {**CLOSED, "additionalProperties": True}


def outer(inner: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        (outer(CLOSED), True),
        (outer(OPEN), False),
        (outer({"type": "array", "items": OPEN}), False),
        (outer({"anyOf": [{"type": "null"}, OPEN]}), False),
        ({**outer({"$ref": "#/$defs/x"}), "$defs": {"x": OPEN}}, False),
        ({**outer({"$ref": "#/$defs/x"}), "$defs": {"x": CLOSED}}, True),
    ],
)
def test_strict_is_said_where_every_object_is_closed_and_whole(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict
    format_ = openai.with_schema("m", RESPONSES, {}, schema)["text"]["format"]
    assert format_ == {"type": "json_schema", "name": "answer", "strict": strict, "schema": schema}


def test_the_name_of_a_schema_has_only_what_the_vendor_takes() -> None:
    said = openai.with_schema("m", CHAT, {}, {**CLOSED, "title": "Étiquette d'un texte " * 9})
    assert (
        said["response_format"]["json_schema"]["name"]
        == "tiquette_d_un_texte_tiquette_d_un_texte_tiquette_d_un_texte_tiqu"
    )


def test_other_parameters_stay_beside_the_schema() -> None:
    said = openai.with_schema("m", RESPONSES, {"text": {"verbosity": "low"}, "temperature": 0}, CLOSED)
    assert (said["text"]["verbosity"], said["temperature"]) == ("low", 0)
    said = bedrock.with_schema(CLAUDE, "/invoke", {"output_config": {"effort": "low"}}, CLOSED)
    assert said == {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": CLOSED}}}


def test_a_system_prompt_stands_where_each_model_has_it() -> None:
    chat = openai.with_system_prompt("m", CHAT, {"messages": [{"role": "user", "content": "e.g."}]}, "Label.")
    line = openai.request("row", "text", "m", CHAT, chat)
    assert [message["role"] for message in line["body"]["messages"]] == ["system", "user", "user"]
    assert openai.texts(line) == ["text"]
    assert openai.with_system_prompt("m", RESPONSES, {}, "Label.") == {"instructions": "Label."}
    assert bedrock.with_system_prompt(CLAUDE, "/invoke", {}, "Label.") == {"system": "Label."}
    assert bedrock.with_system_prompt(NOVA, "/invoke", {}, "Label.") == {"system": [{"text": "Label."}]}


def test_what_has_no_parameter_for_a_schema_is_only_checked() -> None:
    assert bedrock.with_schema(NOVA, "/invoke", {"system": []}, CLOSED) == {"system": []}
    assert sagemaker.with_schema("m", "/invocations", {"x": 1}, CLOSED) == {"x": 1}


@pytest.mark.parametrize(
    "ask",
    [
        lambda: openai.with_schema("m", CHAT, {"response_format": {}}, CLOSED),
        lambda: openai.with_schema("m", RESPONSES, {"text": {"format": {}}}, CLOSED),
        lambda: openai.with_system_prompt("m", RESPONSES, {"instructions": "x"}, "y"),
        lambda: bedrock.with_schema(CLAUDE, "/invoke", {"output_config": {"format": {}}}, CLOSED),
        lambda: bedrock.with_system_prompt(NOVA, "/invoke", {"system": []}, "y"),
        lambda: sagemaker.with_system_prompt("m", "/invocations", {}, "y"),
    ],
)
def test_two_words_for_one_thing_are_refused(ask: Any) -> None:
    with pytest.raises(SpecError):
        ask()
