"""What a model's container says of one record: a vector or a text, in the shapes that the common containers use.

Hugging Face's toolkit: https://github.com/aws/sagemaker-huggingface-inference-toolkit (a list a text; generated_text);
JumpStart's embedding models: {"embedding": […]}. Others are told as they are.
"""

from __future__ import annotations

from typing import Any

import orjson

from opensearch_batch.flow.answers import Answer
from opensearch_batch.providers.passing import passes
from opensearch_batch.providers.reading import json_of
from opensearch_batch.providers.shape import reason, words

VECTORS = ("embedding", "embeddings", "vector", "vectors", "predictions", "sentence_embeddings")
TEXTS = ("generated_text", "summary_text", "translation_text", "answer")


def answer(row_id: str, output: bytes) -> Answer:
    """Raise UnreadableLine for what is no JSON."""
    if vector := _only_list(output):
        return Answer(row_id, vector=vector)
    return _read(row_id, json_of(output), output)


def _read(row_id: str, said: Any, output: bytes) -> Answer:
    if isinstance(said, dict):
        if error := said.get("error") or said.get("errorMessage"):
            return _refused(row_id, said.get("code"), error)
        for name in VECTORS:
            if name in said:
                return _of_vectors(row_id, said[name])
        for name in TEXTS:
            if isinstance(said.get(name), str):
                return Answer(row_id, output=said[name]) if said[name] else _empty(row_id)
    if isinstance(said, list) and _only_of_numbers(said):
        return _of_vectors(row_id, said)
    if isinstance(said, list) and len(said) == 1 and not isinstance(said[0], int | float):
        return _read(row_id, said[0], orjson.dumps(said[0]))
    if isinstance(said, str):
        return Answer(row_id, output=said) if said else _empty(row_id)
    return Answer(row_id, output=output.decode()) if said else _empty(row_id)


def _refused(row_id: str, code: Any, error: Any) -> Answer:
    told, message = reason(error)
    named = words(code) if code is not None else told
    return Answer(row_id, code=named or "container_error", message=message, passing=passes(named or ""))


def _only_of_numbers(said: list[Any]) -> bool:
    """Lists of numbers, and of null where a number should be: never a text, whatever is wrong with them."""
    return all(_only_of_numbers(each) if isinstance(each, list) else _is_number_or_none(each) for each in said)


def _is_number_or_none(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _of_vectors(row_id: str, said: Any) -> Answer:
    """The only vector in it, as it is; one a token is none."""
    inner = said
    while isinstance(inner, list) and len(inner) == 1 and isinstance(inner[0], list):
        inner = inner[0]
    if isinstance(inner, list) and len(inner) > 1 and all(isinstance(part, list) for part in inner):
        return Answer(
            row_id,
            code="no_vector",
            message=f"the container gave {len(inner)} lists of numbers for one text, one a token: "
            "it does not pool them",
        )
    return Answer(row_id, vector=orjson.dumps(inner))


def _empty(row_id: str) -> Answer:
    return Answer(row_id, code="no_output", message="the container gave an empty answer")


def _only_list(text: bytes) -> bytes | None:
    """The numbers' text, of a list of numbers or of one in lists of one; None for all else. The rest is read long."""
    depth = len(text) - len(text.lstrip(b"["))
    if not 1 <= depth <= 3 or text.count(b"[") != depth or not text.endswith(b"]" * depth):
        return None
    inner = text[depth - 1 : len(text) - depth + 1]
    numbers = json_of(inner)
    return inner if numbers and all(isinstance(number, int | float) for number in numbers) else None
