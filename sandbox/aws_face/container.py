"""The models behind SageMaker jobs and endpoints, in the shape of Hugging Face's inference containers.

A request is {"inputs": "text"}, {"inputs": ["text", …]}, or the text or the list alone; a job with an InputFilter that
picks the text sends the text alone, as in ML Commons' batch_inference_sagemaker_connector_blueprint.md. A model answers
each text with one vector; a model with gpt, llm or chat in its name answers with a stand-in for generated text.

Only the shape is that of real containers: for feature extraction they give a vector a token, unless the model pools,
https://huggingface.co/docs/sagemaker/inference
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox import embedding

if TYPE_CHECKING:
    from collections.abc import Sequence

GENERATES = re.compile(r"gpt|llm|chat", re.IGNORECASE)
QUOTED_CHARACTERS = 200


class BadRequest(Exception):
    """What the container answers 400 for."""


def texts_of(body: object) -> list[str]:
    given = body.get("inputs") if isinstance(body, dict) else body
    if given is None:
        raise BadRequest("the request has no 'inputs'")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequest("the input is text or a list of texts, none of them empty")
    return texts


def answer_all(model: str, requests: Sequence[list[str]]) -> list[Any]:
    """One answer a request, each a list with one entry a text; numpy vectors, for orjson's OPT_SERIALIZE_NUMPY."""
    if GENERATES.search(model):
        return [[{"generated_text": stand_in(text)} for text in texts] for texts in requests]
    vectors = embedding.vectors(embedding.tokenize([text for texts in requests for text in texts]))
    answers, begin = [], 0
    for texts in requests:
        answers.append(list(vectors[begin : begin + len(texts)]))
        begin += len(texts)
    return answers


def stand_in(text: str) -> str:
    return f"[sandbox stand-in: no model was asked] The request ended with: {text[:QUOTED_CHARACTERS]}"
