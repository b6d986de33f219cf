"""Readers: a line of another shape is UnreadableLine and nothing else, wherever in the line the odd value stands.

What else escapes a reader counts as its own bug, and fails a whole job's fetch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from opensearch_batch.flow.answers import Answer
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.cohere import provider as cohere
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.sagemaker import provider as sagemaker

Reader = Callable[[bytes], Any]


def many(raw: bytes) -> list[Answer | None]:
    return list(openai.read_many(raw))


def told(body: Any, status: int = 200) -> dict[str, Any]:
    return {"custom_id": "a", "response": {"status_code": status, "body": body}, "error": None}


def made(output: Any) -> dict[str, Any]:
    return {"recordId": "x61", "modelInput": {}, "modelOutput": output}


VECTOR = {"data": [{"index": 0, "embedding": [0.5, 1]}], "usage": {"prompt_tokens": 3}}
CHAT = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}
SPOKEN = {"output": [{"content": [{"text": "Yes."}]}], "status": "completed", "usage": {"input_tokens": 3}}

LINES: list[tuple[Reader, dict[str, Any]]] = [
    (openai.read_line, told(VECTOR)),
    (openai.read_line, told({"data": [{"embedding": "AACAPw=="}]})),
    (openai.read_line, told(CHAT)),
    (openai.read_line, told({"choices": [{"message": {"content": None, "refusal": "No."}}]})),
    (openai.read_line, told(SPOKEN)),
    (openai.read_line, told(json.dumps(VECTOR))),
    (openai.read_line, told({"error": {"code": None, "type": "invalid", "message": "No."}}, 400)),
    (openai.read_line, told("Bad gateway", 502)),
    (openai.read_line, {"custom_id": "a", "response": None, "error": {"code": "batch_expired", "message": "No."}}),
    (many, told(VECTOR)),
    (many, told({"data": [{"index": 0, "embedding": "AACAPw=="}]})),
    (many, told({"error": {"code": "invalid", "message": "No."}}, 400)),
    (bedrock.read_line, made({"embedding": [0.5, 1], "inputTextTokenCount": 3})),
    (bedrock.read_line, made({"embeddings": [[0.5, 1]]})),
    (bedrock.read_line, made({"embeddings": {"float": [[0.5, 1]]}})),
    (bedrock.read_line, made({"content": [{"text": "Yes."}], "usage": {"input_tokens": 3}, "stop_reason": "end"})),
    (bedrock.read_line, made({"output": {"message": {"content": [{"text": "Yes."}]}}, "usage": {"inputTokens": 3}})),
    (bedrock.read_line, {"recordId": "a", "error": {"errorCode": 400, "errorMessage": "No."}}),
    (sagemaker.read_line, {"id": "a", "SageMakerOutput": [[0.5, 1]]}),
    (sagemaker.read_line, {"id": "a", "SageMakerOutput": {"embedding": [0.5, 1]}}),
    (sagemaker.read_line, {"id": "a", "SageMakerOutput": [{"generated_text": "Yes."}]}),
    (sagemaker.read_line, {"id": "a", "SageMakerOutput": {"error": "No.", "code": 400}}),
    (sagemaker.read_line, {"id": "a", "refused": {"code": "ClientError", "message": "No.", "rows": 1}}),
    (cohere.read_line, {"id": "a", "embedding": [0.5, 1]}),
]
ODD: list[Any] = [None, True, 7, -0.5, "", "text", "{", [], [[]], ["text"], [1, None], {}, {"x": 1}, {"float": 1}]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from paths(entry, (*path, key))


def replaced(line: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copy = deepcopy(line)
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = odd
    return copy


def without(line: Any, path: tuple[Any, ...]) -> Any:
    copy = deepcopy(line)
    target = copy
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return copy


def outcome(read: Reader, raw: bytes) -> str:
    try:
        read(raw)
    except UnreadableLine:
        return "unreadable"
    return "read"


@pytest.mark.parametrize(("read", "line"), LINES)
def test_a_wrong_value_anywhere_is_an_unreadable_line_or_still_an_answer(read: Reader, line: dict[str, Any]) -> None:
    assert outcome(read, json.dumps(line).encode()) == "read"
    changed = [replaced(line, path, odd) for path in paths(line) for odd in ODD]
    changed += [without(line, path) for path in paths(line) if path]
    outcomes = [outcome(read, json.dumps(each).encode()) for each in changed]
    assert "unreadable" in outcomes


@pytest.mark.parametrize(("read", "line"), LINES)
def test_a_line_that_ends_early_or_has_bytes_of_no_text_is_unreadable(read: Reader, line: dict[str, Any]) -> None:
    raw = json.dumps(line).encode()
    assert {outcome(read, raw[:end]) for end in range(len(raw))} == {"unreadable"}
    for at in range(len(raw)):
        outcome(read, raw[:at] + b"\xff" + raw[at + 1 :])
