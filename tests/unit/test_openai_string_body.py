"""Output lines whose `response.body` is the text of its JSON, as ogx 1.5.0 writes them: recorded there."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.protocol import UnreadableLine

VECTOR = rb"""{"id": "batch_req_batch_14d75c85c5954b5a_1", "custom_id": "row-1", "response": {"status_code": 200, "request_id": "batch_req_batch_14d75c85c5954b5a_1", "body": "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":[-0.4739018,0.860353,0.03460811,-0.18442371],\"index\":0}],\"model\":\"local/text-embedding-3-small\",\"usage\":{\"prompt_tokens\":6,\"total_tokens\":6}}"}}"""  # noqa: E501
TWO_VECTORS = rb"""{"id": "batch_req_batch_14d75c85c5954b5a_2", "custom_id": "rows-2", "response": {"status_code": 200, "request_id": "batch_req_batch_14d75c85c5954b5a_2", "body": "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":[0.14121203,0.17945196,-0.7811015,0.58115107],\"index\":0},{\"object\":\"embedding\",\"embedding\":[-0.81680983,-0.14705332,-0.49299747,0.2610565],\"index\":1}],\"model\":\"local/text-embedding-3-small\",\"usage\":{\"prompt_tokens\":2,\"total_tokens\":2}}"}}"""  # noqa: E501
PACKED = rb"""{"id": "batch_req_batch_14d75c85c5954b5a_3", "custom_id": "row-3", "response": {"status_code": 200, "request_id": "batch_req_batch_14d75c85c5954b5a_3", "body": "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":\"TVh8PhWKmL6UBAu/dtI+vw==\",\"index\":0}],\"model\":\"local/text-embedding-3-small\",\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}"}}"""  # noqa: E501
CHAT = rb"""{"id": "batch_req_batch_1b9b044cc4824fda_1", "custom_id": "chat-1", "response": {"status_code": 200, "request_id": "batch_req_batch_1b9b044cc4824fda_1", "body": "{\"id\":\"chatcmpl-6278fa3fa7d48e51011327f0\",\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"logprobs\":null,\"message\":{\"content\":\"[sandbox stand-in: no model was asked] The request ended with: say \\\"hi\\\" \u2013 \u00e9\",\"refusal\":null,\"role\":\"assistant\",\"annotations\":[],\"audio\":null,\"function_call\":null,\"tool_calls\":null}}],\"created\":1795408077,\"model\":\"local/gpt-4o-mini\",\"object\":\"chat.completion\",\"metadata\":null,\"moderation\":null,\"service_tier\":\"default\",\"system_fingerprint\":null,\"usage\":{\"completion_tokens\":14,\"prompt_tokens\":7,\"total_tokens\":21,\"completion_tokens_details\":null,\"prompt_tokens_details\":null}}"}}"""  # noqa: E501
REFUSED = rb"""{"id": "batch_req_batch_14d75c85c5954b5a_4", "custom_id": "row-bad", "error": {"type": "request_failed", "message": "Error code: 400 - This model's maximum context length is 8192 tokens, however you requested 20001 tokens (20001 in your prompt; 0 for the completion). Please reduce your prompt; or completion length."}}"""  # noqa: E501


def test_a_vector_is_handed_on_as_it_came_with_its_numbers() -> None:
    answer = openai.read_line(VECTOR)
    assert replace(answer, numbers=None) == Answer(
        "row-1", vector=b"[-0.4739018,0.860353,0.03460811,-0.18442371]", usage=Usage(6)
    )
    assert memoryview(answer.numbers).cast("d").tolist() == [-0.4739018, 0.860353, 0.03460811, -0.18442371]


def test_each_text_of_a_request_has_its_vector() -> None:
    assert list(openai.read_many(TWO_VECTORS)) == [
        Answer("rows-2", vector=b"[0.14121203,0.17945196,-0.7811015,0.58115107]", usage=Usage(2), position=0),
        Answer("rows-2", vector=b"[-0.81680983,-0.14705332,-0.49299747,0.2610565]", position=1),
    ]


def test_a_packed_vector_is_its_single_precision_values() -> None:
    answer = openai.read_line(PACKED)
    assert isinstance(answer.vector, array)
    assert [round(value, 6) for value in answer.vector] == [0.246431, -0.297928, -0.543039, -0.745399]


def test_a_chats_text_is_read_through_both_layers_of_quotes() -> None:
    assert openai.read_line(CHAT) == Answer(
        "chat-1",
        '[sandbox stand-in: no model was asked] The request ended with: say "hi" \u2013 \u00e9',
        usage=Usage(7, 14),
    )


def test_an_error_without_a_response_is_a_reason_under_its_type() -> None:
    answer = openai.read_line(REFUSED)
    assert (answer.id, answer.answered, answer.code, answer.passing) == ("row-bad", False, "request_failed", False)
    assert "maximum context length is 8192 tokens" in answer.message
    assert list(openai.read_many(REFUSED)) == [answer]


@pytest.mark.parametrize(
    ("message", "passing"),
    [
        ("Error code: 503", True),
        ("Error code: 429 - Slow down.", True),
        ("Connection error.", True),
        ("Request timed out.", True),
        ("Error code: 401 - no", False),
        ("Error code: 5030", False),
        ("The text says: Error code: 503", False),
        ("", False),
    ],
)
def test_what_the_model_server_behind_may_answer_later_is_passing(message: str, passing: bool) -> None:
    """503, 429, 401 and the connection error as ogx 1.5.0 words them."""
    failed = json.dumps({"custom_id": "row-1", "error": {"type": "request_failed", "message": message}}).encode()
    answer = openai.read_line(failed)
    assert (answer.code, answer.message, answer.passing) == ("request_failed", message, passing)


def line(body: Any, status: int = 200) -> bytes:
    return json.dumps({"custom_id": "row-1", "response": {"status_code": status, "body": body}}).encode()


def test_a_refusal_in_a_string_body_keeps_its_code() -> None:
    refused = line(json.dumps({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}), 429)
    wanted = Answer("row-1", code="rate_limit_exceeded", message="Slow down.", passing=True)
    assert openai.read_line(refused) == wanted
    assert list(openai.read_many(refused)) == [wanted]


def test_a_gateways_plain_text_is_the_reason() -> None:
    wanted = Answer("row-1", code="502", message='"Bad gateway"', passing=True)
    assert openai.read_line(line("Bad gateway", 502)) == wanted
    assert list(openai.read_many(line("Bad gateway", 502))) == [wanted]


@pytest.mark.parametrize(
    "body",
    [
        "text",
        '{"data": [',
        json.dumps('{"data": [{"index": 0, "embedding": [1]}]}'),
        '{"data": [{"index": 0, "embedding": [1]}]}}, "custom_id": "row-2", "x": {"y": {}',
    ],
    ids=["no JSON", "cut short", "text of text", "more than the body"],
)
def test_any_other_text_is_no_answer(body: str) -> None:
    with pytest.raises(UnreadableLine):
        openai.read_line(line(body))
    with pytest.raises(UnreadableLine):
        list(openai.read_many(line(body)))
