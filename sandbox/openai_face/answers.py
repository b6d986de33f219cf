"""The answer to each request body of an endpoint, many at a time, so that embeddings are computed in one go."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox import embedding
from sandbox.openai_face import stand_in
from sandbox.openai_face.errors import OpenAIError, missing, no_such_model

if TYPE_CHECKING:
    from collections.abc import Sequence

ENDPOINTS = ("/v1/embeddings", "/v1/chat/completions", "/v1/responses")
EMBEDDING_MODELS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")
MODELS = (*EMBEDDING_MODELS, *stand_in.MODELS)
MAX_INPUTS = 2048


@dataclass(frozen=True)
class Answer:
    """`body` may hold numpy vectors: write it with orjson's OPT_SERIALIZE_NUMPY."""

    status: int
    body: dict[str, Any]
    input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def refusal(cls, error: OpenAIError) -> Answer:
        return cls(error.status, error.to_dict())


@dataclass(frozen=True)
class _Wanted:
    """An embeddings request that was found in order."""

    model: str
    texts: list[str]
    dimensions: int
    base64: bool


def answer_all(endpoint: str, bodies: Sequence[dict[str, Any]]) -> list[Answer]:
    """In the order of `bodies`; a bad one is answered with its 4xx and harms no other."""
    if endpoint == "/v1/embeddings":
        return _embed_all(bodies)
    return [_stand_in(endpoint, body) for body in bodies]


def _stand_in(endpoint: str, body: dict[str, Any]) -> Answer:
    try:
        answered, input_tokens, output_tokens = stand_in.answer(endpoint, body)
    except OpenAIError as error:
        return Answer.refusal(error)
    return Answer(200, answered, input_tokens, output_tokens)


def _embed_all(bodies: Sequence[dict[str, Any]]) -> list[Answer]:
    parsed: list[_Wanted | OpenAIError] = [_parse(body) for body in bodies]
    texts = [text for item in parsed if isinstance(item, _Wanted) for text in item.texts]
    tokens = embedding.tokenize(texts) if texts else []
    answers: list[Answer] = []
    taken = 0
    groups: dict[int, list[tuple[int, _Wanted, list[list[int]]]]] = {}
    for index, item in enumerate(parsed):
        if isinstance(item, OpenAIError):
            answers.append(Answer.refusal(item))
            continue
        own = tokens[taken : taken + len(item.texts)]
        taken += len(item.texts)
        longest = max(map(len, own))
        answers.append(Answer.refusal(_too_long(longest)))
        if longest <= embedding.MAX_TOKENS:
            groups.setdefault(item.dimensions, []).append((index, item, own))
    for dimensions, group in groups.items():
        found = embedding.vectors([ids for _, _, own in group for ids in own], dimensions)
        begin = 0
        for index, item, own in group:
            answers[index] = _answer(item, found[begin : begin + len(own)], sum(map(len, own)))
            begin += len(own)
    return answers


def _answer(wanted: _Wanted, vectors: Any, tokens: int) -> Answer:
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.tobytes()).decode() if wanted.base64 else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Answer(200, {"object": "list", "data": data, "model": wanted.model, "usage": usage}, tokens)


def _parse(body: dict[str, Any]) -> _Wanted | OpenAIError:
    try:
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise missing("model")
        if model not in EMBEDDING_MODELS:
            raise no_such_model(model)
        encoding = body.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise OpenAIError(
                400,
                f"Invalid value: '{encoding}'. Supported values are: 'float' and 'base64'.",
                param="encoding_format",
                code="invalid_value",
            )
        return _Wanted(model, _texts(body), _dimensions(model, body.get("dimensions")), encoding == "base64")
    except OpenAIError as error:
        return error


def _texts(body: dict[str, Any]) -> list[str]:
    if "input" not in body:
        raise missing("input")
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        if isinstance(texts, list) and texts and all(isinstance(item, int | list) for item in texts):
            raise OpenAIError(400, "the sandbox embeds text: it cannot read OpenAI's token ids", param="input")
        raise OpenAIError(400, "'$.input' is invalid. Send a string or a list of strings, none empty.", param="input")
    if len(texts) > MAX_INPUTS:
        raise OpenAIError(400, f"'$.input' is invalid. At most {MAX_INPUTS} inputs are allowed.", param="input")
    return texts


def _dimensions(model: str, given: object) -> int:
    if given is None:
        return embedding.DIMENSIONS
    if model == "text-embedding-ada-002":
        raise OpenAIError(400, "This model does not support specifying dimensions.")
    if not isinstance(given, int) or isinstance(given, bool):
        message = f"Invalid type for 'dimensions': expected an integer, but got {type(given).__name__} instead."
        raise OpenAIError(400, message, param="dimensions", code="invalid_type")
    if given < 1:
        message = f"Invalid value for 'dimensions' = {given}. Must be greater than 0."
        raise OpenAIError(400, message, param="dimensions", code="integer_below_min_value")
    if given > embedding.DIMENSIONS:
        message = f"Invalid value for 'dimensions' = {given}. Must be less than or equal to {embedding.DIMENSIONS}."
        raise OpenAIError(400, message, param="dimensions", code="integer_above_max_value")
    return given


def _too_long(tokens: int) -> OpenAIError:
    message = (
        f"This model's maximum context length is {embedding.MAX_TOKENS} tokens, however you requested {tokens} tokens "
        f"({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
    )
    return OpenAIError(400, message)
