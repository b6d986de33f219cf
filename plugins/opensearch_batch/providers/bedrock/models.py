"""Requests and answers of the model families on Bedrock:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html (the body of InvokeModel).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import orjson

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import TEXTS, Asked, vectors_of
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import as_shape, decoder, json_of, spoken_in
from opensearch_batch.providers.request_body import members
from opensearch_batch.providers.shape import count, inner

Family = Literal["titan", "cohere", "anthropic", "nova"]
FAMILIES: dict[str, Family] = {
    "amazon.titan-embed-text": "titan",
    "cohere.embed": "cohere",
    "anthropic.": "anthropic",
    "amazon.nova": "nova",
}
"""By how a model's id begins, after the region of an inference profile."""


DIMENSIONS: dict[Family, str] = {"titan": "dimensions", "cohere": "output_dimension"}
"""Families that embed, with the parameter of the vectors' length."""

PARAMETERS: dict[Family, tuple[str, ...]] = {
    "titan": ("dimensions", "normalize", "embeddingTypes"),
    "cohere": ("input_type", "truncate", "embedding_types", "output_dimension", "max_tokens"),
    "anthropic": (
        *("anthropic_version", "anthropic_beta", "max_tokens", "system", "temperature", "top_p", "top_k"),
        *("tools", "tool_choice", "stop_sequences", "thinking", "output_config"),
    ),
    "nova": ("system", "inferenceConfig", "toolConfig", "schemaVersion"),
}

LIMITS = frozenset(["max_tokens", "model_context_window_exceeded"])
"""Why a message ended, where a limit of tokens ended the message:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, `stopReason`.
"""

MAX_TOKENS = 1024
"""Default for a spec without max_tokens: a message must have a bound."""


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


def asked(model: str, parameters: Mapping[str, Any]) -> Asked:
    named = DIMENSIONS.get(family_of(model))
    return vectors_of(parameters.get(named)) if named else TEXTS


def cuts_texts(model: str, parameters: Mapping[str, Any]) -> bool:
    """Cohere's models cut where a spec asks for it:
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html, `truncate`.
    """
    return family_of(model) == "cohere" and parameters.get("truncate", "NONE") != "NONE"


def output_tokens_at_most(model: str, parameters: Mapping[str, Any]) -> int | None:
    """Return 0 for embeddings, None for a chat without a bound."""
    family = family_of(model)
    if family in ("titan", "cohere"):
        return 0
    if family == "anthropic":
        return int(parameters.get("max_tokens", MAX_TOKENS))
    found = (parameters.get("inferenceConfig") or {}).get("maxTokens")
    return int(found) if found else None


def online(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body and the functions of a connector's predict action."""
    family = family_of(model)
    fixed = {**parameters}
    if family == "titan":
        return {
            "request_body": '{ "inputText": "${parameters.inputText}"' + members(fixed) + " }",
            "pre_process_function": "connector.pre_process.bedrock.embedding",
            "post_process_function": "connector.post_process.bedrock.embedding",
        }
    if family == "cohere":
        fixed.pop("input_type", None)
        typed = ', "input_type": "${parameters.online_input_type}"'
        return {
            "request_body": '{ "texts": ${parameters.texts}' + typed + members(fixed) + " }",
            "pre_process_function": "connector.pre_process.cohere.embedding",
            "post_process_function": "connector.post_process.cohere.embedding",
        }
    if family == "anthropic":
        fixed = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": MAX_TOKENS, **fixed}
    return {"request_body": '{ "messages": ${parameters.messages}' + members(fixed) + " }"}


def online_defaults(model: str) -> dict[str, str]:
    """Return the connector's parameters that `online` needs: searches embed as search_query."""
    return {"online_input_type": "search_query"} if family_of(model) == "cohere" else {}


def online_parameters(model: str, text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `parameters` of a _predict that embeds as model_input does; empty for a family that does not embed."""
    family = family_of(model)
    if family == "titan":
        return {"inputText": text}
    if family == "cohere":
        return {"texts": [text], "online_input_type": parameters.get("input_type", "search_document")}
    return {}


class _Embedded(msgspec.Struct):
    """Titan: a vector for a text."""

    embedding: msgspec.Raw
    inputTextTokenCount: Any = 0


class _Vectors(msgspec.Struct):
    """Cohere: a list of vectors, or lists by type, floats first."""

    embeddings: list[Any] | dict[str, list[Any] | None] | None


class _Message(msgspec.Struct):
    content: list[Any]


class _Output(msgspec.Struct):
    message: _Message


class _Spoken(msgspec.Struct):
    """Anthropic has `content` at once, Nova in `output.message`."""

    content: list[Any] | None = None
    output: _Output | None = None
    usage: Any = None
    stop_reason: Any = None
    stopReason: Any = None


_embedded = decoder(_Embedded)


def answer(row_id: str, output: bytes) -> Answer:
    """Read a model's output. Raise UnreadableLine for an unknown shape."""
    try:
        line = _embedded(output)
    except UnreadableLine:
        return _read(row_id, json_of(output))
    return Answer(row_id, vector=bytes(line.embedding), usage=Usage(count(line.inputTextTokenCount)))


def _read(row_id: str, said: Any) -> Answer:
    if isinstance(said, dict) and "embedding" in said:
        return Answer(row_id, vector=orjson.dumps(said["embedding"]))
    if isinstance(said, dict) and "embeddings" in said:
        return Answer(row_id, vector=orjson.dumps(_only_vector(as_shape(said, _Vectors))))
    spoken = as_shape(said, _Spoken)
    usage = _usage(spoken.usage)
    text, why = spoken_in(_parts(spoken)), spoken.stop_reason or spoken.stopReason
    if not text:
        return Answer(row_id, code="no_output", message=f"stop_reason {why}", usage=usage)
    return Answer(row_id, output=text, usage=usage, truncated=isinstance(why, str) and why in LIMITS)


def _only_vector(said: _Vectors) -> Any:
    """Of any shape; None where the list is empty."""
    vectors = said.embeddings
    if isinstance(vectors, dict):
        vectors = vectors.get("float") or next(iter(vectors.values()), None)
    if vectors and len(vectors) > 1:
        raise UnreadableLine(f"{len(vectors)} vectors for one text")
    return vectors[0] if vectors else None


def _parts(spoken: _Spoken) -> list[Any]:
    if spoken.content is not None:
        return spoken.content
    if spoken.output is None:
        raise UnreadableLine("neither embeddings nor content nor output")
    return spoken.output.message.content


def _usage(tokens: Any) -> Usage:
    """Anthropic says input_tokens, Nova inputTokens."""
    return Usage(
        count(inner(tokens, "input_tokens")) or count(inner(tokens, "inputTokens")),
        count(inner(tokens, "output_tokens")) or count(inner(tokens, "outputTokens")),
    )
