"""The models, and the reply to a call of embed: https://docs.cohere.com/reference/embed"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.responses import JSONResponse

from sandbox import embedding
from sandbox.cohere_face.errors import CohereError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

JOB_MODELS = (
    "embed-english-v3.0",
    "embed-multilingual-v3.0",
    "embed-english-light-v3.0",
    "embed-multilingual-light-v3.0",
)
"""Embed jobs take v3 models alone: https://docs.cohere.com/v2/docs/embed-jobs-api"""
MODELS = (*JOB_MODELS, "embed-v4.0")
INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
MOST_TEXTS = 96


def vectors_of(texts: list[str]) -> tuple[list[list[float]], int]:
    """One a text, and how many tokens they have."""
    tokens = embedding.tokenize(texts)
    return embedding.vectors(tokens).tolist(), sum(map(len, tokens))


async def embed(request: Request) -> Response:
    body = await json_of(request)
    texts = body.get("texts")
    check(body.get("model"), body.get("input_type"), MODELS)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CohereError(400, "invalid request: texts must be a list of strings")
    if len(texts) > MOST_TEXTS:
        raise CohereError(400, f"invalid request: total number of texts must be at most {MOST_TEXTS}")
    types = body.get("embedding_types")
    if types not in (None, ["float"]):
        raise CohereError(501, f"the sandbox does not serve embedding_types {types}")
    vectors, tokens = await asyncio.to_thread(vectors_of, texts)
    typed = request.url.path.startswith("/v2/") or types is not None
    answer: dict[str, Any] = {
        "id": str(uuid4()),
        "texts": texts,
        "embeddings": {"float": vectors} if typed else vectors,
        "meta": {"api_version": {"version": "1"}, "billed_units": {"input_tokens": tokens}},
        "response_type": "embeddings_by_type" if typed else "embeddings_floats",
    }
    return JSONResponse(answer)


def check(model: Any, input_type: Any, models: tuple[str, ...]) -> None:
    if model not in models:
        raise CohereError(404, f"model '{model}' not found, make sure the correct model ID was used")
    if input_type not in INPUT_TYPES:
        raise CohereError(400, f"invalid request: input_type must be one of {', '.join(INPUT_TYPES)}")


async def json_of(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise CohereError(400, "invalid request: the body is not JSON") from None
    if not isinstance(body, dict):
        raise CohereError(400, "invalid request: the body is not an object")
    return body
