"""Bedrock's models: embeddings from the sandbox's real small model, text from a stand-in, in each family's own shape.

Titan: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html, Cohere:
…/model-parameters-embed.html, Anthropic: …/model-parameters-anthropic-claude-messages.html, Nova:
https://docs.aws.amazon.com/nova/latest/userguide/using-invoke-api.html. Vectors have 256 numbers by default, fewer than
those of the real models; a request for more numbers is refused. The messages of refusals were not verified.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox import embedding
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.container import stand_in
from sandbox.fitting import fitting
from sandbox.ids import derived

if TYPE_CHECKING:
    from collections.abc import Sequence

INVALID_MODEL = "The provided model identifier is invalid."
# A name may come as an ARN and, for a cross-region profile, with a prefix of the regions.
NAME = re.compile(r"(?:arn:.*/)?(?:(?:us|us-gov|eu|apac|jp|au|ca|global)\.)?(.+)")
FAMILIES = {
    "amazon.titan-embed-text": "titan",
    "amazon.titan-embed-g1-text": "titan",
    "cohere.embed-": "cohere",
    "anthropic.claude": "anthropic",
    "amazon.nova-": "nova",
}
MAX_COHERE_TEXTS = 96


@dataclass(frozen=True)
class Answer:
    """`body` may hold numpy vectors. An `error` is the status and the message of a refusal."""

    body: dict[str, Any] | None
    error: tuple[int, str] | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Refused(Exception):
    """The model does not take this body."""


def family_of(model_id: str) -> str:
    """Raises AWSError (400) for a model that the sandbox does not know."""
    found = NAME.fullmatch(model_id)
    name = found[1] if found else model_id
    for prefix, family in FAMILIES.items():
        if name.startswith(prefix):
            return family
    raise AWSError(400, "ValidationException", INVALID_MODEL)


def answer_all(model_id: str, bodies: Sequence[Any]) -> list[Answer]:
    """In the order of `bodies`; a bad one is answered with its 400 and harms no other."""
    family = family_of(model_id)
    if family in ("titan", "cohere"):
        return _embed_all(model_id, family, bodies)
    return [_generate(model_id, family, body) for body in bodies]


def _embed_all(model_id: str, family: str, bodies: Sequence[Any]) -> list[Answer]:
    asked: list[list[str] | Answer] = []
    for body in bodies:
        try:
            asked.append(_titan_texts(model_id, body) if family == "titan" else _cohere_texts(body))
        except Refused as error:
            asked.append(Answer(None, (400, str(error))))
    tokens = embedding.tokenize([text for item in asked if isinstance(item, list) for text in item])
    vectors = embedding.vectors(tokens)
    answers, begin = [], 0
    for body, item in zip(bodies, asked, strict=True):
        if isinstance(item, Answer):
            answers.append(item)
            continue
        end = begin + len(item)
        count = sum(map(len, tokens[begin:end]))
        if family == "titan":
            answers.append(Answer(_titan(model_id, body, tokens[begin], vectors[begin]), input_tokens=count))
        else:
            answers.append(Answer(_cohere(body, item, list(vectors[begin:end])), input_tokens=count))
        begin = end
    return answers


def _titan_texts(model_id: str, body: Any) -> list[str]:
    text = _field(body, "inputText")
    if not isinstance(text, str) or not text:
        raise Refused("Malformed input request: expected minLength: 1, actual: 0, please reformat your input.")
    dimensions = body.get("dimensions", embedding.DIMENSIONS)
    if "v2" in model_id and dimensions != embedding.DIMENSIONS:
        raise Refused(f"the sandbox's vectors have {embedding.DIMENSIONS} dimensions, not {dimensions}")
    return [text]


def _titan(model_id: str, body: dict[str, Any], tokens: list[int], vector: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"embedding": vector, "inputTextTokenCount": len(tokens)}
    if "v2" in model_id:
        answer["embeddingsByType"] = {"float": vector}
    return answer


def _cohere_texts(body: Any) -> list[str]:
    texts = _field(body, "texts")
    _field(body, "input_type")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Refused("Malformed input request: #/texts: expected a list of texts, please reformat your input.")
    if len(texts) > MAX_COHERE_TEXTS:
        message = f"expected maxItems: {MAX_COHERE_TEXTS}, actual: {len(texts)}"
        raise Refused(f"Malformed input request: #/texts: {message}, please reformat your input.")
    types = body.get("embedding_types", ["float"])
    if types != ["float"]:
        raise Refused(f"the sandbox's embeddings are of the type float, not {types}")
    return texts


def _cohere(body: dict[str, Any], texts: list[str], vectors: list[Any]) -> dict[str, Any]:
    by_type = "embedding_types" in body
    return {
        "embeddings": {"float": vectors} if by_type else vectors,
        "id": derived("cohere", *texts, length=36),
        "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
        "texts": texts,
    }


def _generate(model_id: str, family: str, body: Any) -> Answer:
    try:
        messages = _field(body, "messages")
        if family == "anthropic":
            _field(body, "anthropic_version")
            _field(body, "max_tokens")
        asked = _last_text(messages)
    except Refused as error:
        return Answer(None, (400, str(error)))
    text = _written(family, body, asked)
    given, made = len(json.dumps(messages).split()), len(text.split())
    shape = _claude if family == "anthropic" else _nova
    return Answer(shape(model_id, body, text, given, made), None, given, made)


def _written(family: str, body: dict[str, Any], asked: str) -> str:
    """Claude takes a schema in `output_config.format`:
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    """
    wanted = (body.get("output_config") or {}).get("format") if family == "anthropic" else None
    return json.dumps(fitting(wanted["schema"], asked), ensure_ascii=False) if wanted else stand_in(asked)


def _last_text(messages: Any) -> str:
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        raise Refused("messages: at least one message is required")
    content = messages[-1].get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _claude(model_id: str, body: dict[str, Any], text: str, given: int, made: int) -> dict[str, Any]:
    return {
        "model": model_id,
        "id": f"msg_bdrk_{derived(json.dumps(body, sort_keys=True))}",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": given, "output_tokens": made},
    }


def _nova(model_id: str, body: dict[str, Any], text: str, given: int, made: int) -> dict[str, Any]:
    return {
        "output": {"message": {"content": [{"text": text}], "role": "assistant"}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": given, "outputTokens": made, "totalTokens": given + made},
    }


def _field(body: Any, name: str) -> Any:
    if not isinstance(body, dict) or name not in body:
        raise Refused(f"{name}: Field required")
    return body[name]
