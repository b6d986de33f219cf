"""A row of text asked online: what a vendor takes and says, as lines of a batch, and the connector that takes a row."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from opensearch_batch import providers
from opensearch_batch.cluster.ml_commons import Call, predict_text
from opensearch_batch.cluster.online import ask_text
from opensearch_batch.cluster.replies import read_reply
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.request_body import row_parameters, taking_rows
from opensearch_batch.stragglers.open_rows import OpenRow
from opensearch_batch.stragglers.questions import for_texts
from sandbox.ml_commons_face import template

OPENAI, SAGEMAKER, BEDROCK = (providers.get(name) for name in ("openai", "sagemaker", "bedrock"))
CLAUDE, NOVA = "anthropic.claude-3-haiku-20240307-v1:0", "amazon.nova-lite-v1:0"
ENDED = {"finish_reason": "stop", "message": {"content": "said"}}
AWS = {"region": "us-east-1", "role_arn": "arn:aws:iam::1:role/r", "instance_type": "ml.m5.large"}
WRITING: list[Any] = [
    (OPENAI, "gpt-4o-mini", "/v1/chat/completions"),
    (OPENAI, "gpt-4o-mini", "/v1/responses"),
    (BEDROCK, CLAUDE, "/invoke"),
    (BEDROCK, NOVA, "/invoke"),
    (SAGEMAKER, "llm", "/invocations"),
]


@pytest.mark.parametrize(
    ("provider", "said", "usage"),
    [
        (OPENAI, {"choices": [ENDED], "usage": {"prompt_tokens": 3.0, "completion_tokens": 2.0}}, Usage(3, 2)),
        (
            OPENAI,
            {
                "output": [{"content": [{"type": "output_text", "text": "said"}]}],
                "usage": {"input_tokens": 3, "output_tokens": 2},
            },
            Usage(3, 2),
        ),
        (BEDROCK, {"content": [{"text": "said"}], "usage": {"input_tokens": 3, "output_tokens": 2}}, Usage(3, 2)),
        (
            BEDROCK,
            {"output": {"message": {"content": [{"text": "said"}]}}, "usage": {"inputTokens": 3, "outputTokens": 2}},
            Usage(3, 2),
        ),
        (SAGEMAKER, [{"generated_text": "said"}], Usage()),
    ],
    ids=["a chat, of a cluster that makes all numbers floats", "responses", "claude", "nova", "a container"],
)
@pytest.mark.parametrize("name", ["row-1", "plain1", "ä/ö"])
def test_what_is_said_online_is_read_as_a_line_of_a_batch(
    provider: Provider, said: Any, usage: Usage, name: str
) -> None:
    assert provider.read_line(provider.online_line(name, said)) == Answer(name, output="said", usage=usage)


@pytest.mark.parametrize(
    ("provider", "model", "endpoint"),
    [(OPENAI, "text-embedding-3-small", "/v1/embeddings"), (BEDROCK, "amazon.titan-embed-text-v2:0", "/invoke")],
)
def test_a_model_that_embeds_takes_no_row_whole(provider: Provider, model: str, endpoint: str) -> None:
    assert provider.online_body(provider.request("a", "text", model, endpoint, {})) is None


@pytest.mark.parametrize(
    ("provider", "model", "endpoint"), WRITING, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_the_cluster_sends_what_the_line_has(provider: Provider, model: str, endpoint: str) -> None:
    """By ML Commons' rules: a text in it is not escaped again; numbers stay, and nulls too, of a body that is text."""
    parameters = {"schema": {"enum": [None, 1, 0.5, "a/b"], "const": None}, "max": 5}
    body = provider.online_body(provider.request("a", 'Köln "x"\n\\ ${', model, endpoint, parameters))
    assert body is not None
    given = row_parameters(body)
    assert {type(value) for value in given.values()} == {str}
    assert orjson.loads(sent(provider, model, endpoint, parameters, given)) == body


@pytest.mark.parametrize("provider", [OPENAI, BEDROCK, SAGEMAKER], ids=lambda provider: provider.NAME)
@pytest.mark.parametrize(
    "odd",
    [r'"half a pair: \ud83d"', "1" * 30, "[" * 300 + "]" * 300],
    ids=["half a surrogate pair", "a number of 30 digits", "300 lists"],
)
def test_an_answer_that_no_line_can_hold_is_a_refusal_of_its_row(provider: Provider, odd: str) -> None:
    """The cluster's reply may hold it, and the other rows' answers are kept."""
    reply = f'{{"inference_results": [{{"output": [{{"dataAsMap": {{"said": {odd}}}}}]}}]}}'
    question = for_texts(lambda call: read_reply(call, 200, reply, {}), "model", provider, None)
    found = question(OpenRow("row-1", "row-1", None, "text", {}, "", True), lambda seconds: None)
    assert found.kept is None
    assert found.why_not.startswith("the answer cannot be read: ")


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (500, '{"error": {"reason": "Error communicating with remote model: Read timed out"}}'),
        (504, "<html><title>504 Gateway Time-out</title></html>"),
        (504, ""),
    ],
    ids=["the connector's time is over", "the gateway's, in front of the cluster", "without a word"],
)
def test_a_row_is_asked_twice_where_no_answer_comes_in_time(status: int, reply: str) -> None:
    """The vendor has written the answer each time, and bills it."""
    calls: list[Call] = []

    def send(call: Call) -> Any:
        calls.append(call)
        return read_reply(call, status, reply, {})

    said = ask_text(send, predict_text("model", {}), lambda seconds: None)
    assert len(calls) == 2
    assert "2 times, and each answer may be billed" in said.refusal


def test_without_a_row_the_action_sends_what_it_would_have_sent() -> None:
    messages = [{"role": "user", "content": "a question"}]
    for made in (lambda body: body, taking_rows):
        body = sent(OPENAI, "m", "/v1/chat/completions", {"max_tokens": 5}, {"messages": messages}, made)
        assert orjson.loads(body) == {"model": "m", "messages": messages, "max_tokens": 5}


def test_a_row_comes_back_as_the_vendor_said_it() -> None:
    """No function of the connector makes vectors of it."""
    made = taking_rows(SAGEMAKER.connector("n", "m", "/invocations", {}, "", AWS))
    (predict,) = (action for action in made["actions"] if action["action_type"] == "predict")
    assert not [name for name in predict if name.endswith("_function")]


def sent(
    provider: Provider, model: str, endpoint: str, fixed: Any, given: dict[str, Any], made: Any = taking_rows
) -> str:
    connector = made(provider.connector("n", model, endpoint, fixed, "https://x", AWS))
    own = {name: template.as_text(value) for name, value in connector["parameters"].items()}
    (predict,) = (action for action in connector["actions"] if action["action_type"] == "predict")
    return template.fill(predict["request_body"], own | template.request_parameters(given))
