"""What each family of models on Bedrock takes and gives:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html (the body of InvokeModel).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import orjson

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.request_body import members

Family = Literal["titan", "cohere", "anthropic", "nova"]
FAMILIES: dict[str, Family] = {
    "amazon.titan-embed-text": "titan",
    "cohere.embed": "cohere",
    "anthropic.": "anthropic",
    "amazon.nova": "nova",
}
"""By how a model's id begins, after the region of an inference profile."""


MAX_TOKENS = 1024
"""Where a spec says none: a message must have a bound."""


def family_of(model: str) -> Family:
    """Raise SpecError for a model whose body is not known here."""
    name = model.rpartition("/")[2]
    for begins, family in FAMILIES.items():
        if name.startswith(begins) or name.partition(".")[2].startswith(begins):
            return family
    raise SpecError(f"model {model!r}: what it takes is not known here; known: {', '.join(FAMILIES)}…")


def model_input(model: str, text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    family = family_of(model)
    if family == "titan":
        return {"inputText": text, **parameters}
    if family == "cohere":
        return {"texts": [text], "input_type": "search_document", **parameters}
    if family == "anthropic":
        said = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": MAX_TOKENS, **parameters}
        return {**said, "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
    return {**parameters, "messages": [{"role": "user", "content": [{"text": text}]}]}


def text_of(body: Mapping[str, Any]) -> str:
    if "inputText" in body:
        return str(body["inputText"])
    if "texts" in body:
        return str(body["texts"][0])
    return str(body["messages"][0]["content"][0]["text"])


def output_tokens_at_most(model: str, parameters: Mapping[str, Any]) -> int | None:
    """0 for what embeds, None for a chat without a bound."""
    family = family_of(model)
    if family in ("titan", "cohere"):
        return 0
    if family == "anthropic":
        return int(parameters.get("max_tokens", MAX_TOKENS))
    found = (parameters.get("inferenceConfig") or {}).get("maxTokens")
    return int(found) if found else None


def online(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of a connector's predict action."""
    family = family_of(model)
    fixed = {**parameters}
    if family == "titan":
        return {
            "request_body": '{ "inputText": "${parameters.inputText}"' + members(fixed) + " }",
            "pre_process_function": "connector.pre_process.bedrock.embedding",
            "post_process_function": "connector.post_process.bedrock.embedding",
        }
    if family == "cohere":
        said = {**fixed, "input_type": "search_query"}
        return {
            "request_body": '{ "texts": ${parameters.texts}' + members(said) + " }",
            "pre_process_function": "connector.pre_process.cohere.embedding",
            "post_process_function": "connector.post_process.cohere.embedding",
        }
    if family == "anthropic":
        fixed = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": MAX_TOKENS, **fixed}
    return {"request_body": '{ "messages": ${parameters.messages}' + members(fixed) + " }"}


class _Embedded(msgspec.Struct):
    """Titan: one vector for one text."""

    embedding: msgspec.Raw
    inputTextTokenCount: int = 0


_embedded = msgspec.json.Decoder(_Embedded).decode


def answer(row_id: str, output: bytes) -> Answer:
    """Raise ValueError, KeyError, TypeError or IndexError for a shape that is not one of these."""
    try:
        line = _embedded(output)
    except msgspec.ValidationError:
        return _read(row_id, orjson.loads(output))
    return Answer(row_id, vector=_numbers(bytes(line.embedding)), usage=Usage(line.inputTextTokenCount))


def _read(row_id: str, said: Mapping[str, Any]) -> Answer:
    if "embeddings" in said:
        vectors = said["embeddings"]
        (vector,) = vectors["float"] if isinstance(vectors, dict) else vectors
        return Answer(row_id, vector=_numbers(orjson.dumps(vector)))
    usage = said.get("usage") or {}
    counted = Usage(
        int(usage.get("input_tokens") or usage.get("inputTokens") or 0),
        int(usage.get("output_tokens") or usage.get("outputTokens") or 0),
    )
    parts = said["content"] if "content" in said else said["output"]["message"]["content"]
    text = "".join(part.get("text") or "" for part in parts)
    if not text:
        why = said.get("stop_reason") or said.get("stopReason")
        return Answer(row_id, code="no_output", message=f"stop_reason {why}", usage=counted)
    return Answer(row_id, output=text, usage=counted)


def _numbers(text: bytes) -> bytes:
    numbers = orjson.loads(text)
    if not numbers or not all(isinstance(number, int | float) for number in numbers):
        raise ValueError("a vector that is not a list of numbers")
    return text
