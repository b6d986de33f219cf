"""A model container's answer to a record: a vector or a text, in the shapes of common containers.

Hugging Face's toolkit: https://github.com/aws/sagemaker-huggingface-inference-toolkit (a list a text; generated_text);
JumpStart's embedding models: {"embedding": […]}. An unknown shape is handed on unchanged, as text.
"""

from __future__ import annotations

from typing import Any

import orjson

from opensearch_batch.flow.answers import Answer
from opensearch_batch.providers.reading import json_of

VECTORS = ("embedding", "embeddings", "vector", "vectors", "predictions", "sentence_embeddings")
TEXTS = ("generated_text", "summary_text", "translation_text", "answer")


def answer(row_id: str, output: bytes) -> Answer:
    """Read a container's answer. Raise UnreadableLine where the answer is no JSON."""
    if vector := _only_list(output):
        return Answer(row_id, vector=vector)
    return _read(row_id, json_of(output), output)


def _read(row_id: str, said: Any, output: bytes) -> Answer:
    if isinstance(said, dict):
        if error := said.get("error") or said.get("errorMessage"):
            return Answer(row_id, code=str(said.get("code") or "container_error"), message=str(error))
        for name in VECTORS:
            if name in said:
                return answer(row_id, orjson.dumps(said[name]))
        for name in TEXTS:
            if isinstance(said.get(name), str):
                return Answer(row_id, output=said[name]) if said[name] else _empty(row_id)
    if isinstance(said, list) and len(said) == 1 and not isinstance(said[0], int | float):
        return _read(row_id, said[0], orjson.dumps(said[0]))
    if isinstance(said, list) and said and all(isinstance(part, list) for part in said):
        return Answer(
            row_id,
            code="no_vector",
            message=f"the container gave {len(said)} lists of numbers for one text, one a token: it does not pool them",
        )
    if isinstance(said, str):
        return Answer(row_id, output=said) if said else _empty(row_id)
    return Answer(row_id, output=output.decode()) if said else _empty(row_id)


def _empty(row_id: str) -> Answer:
    return Answer(row_id, code="no_output", message="the container gave an empty answer")


def _only_list(text: bytes) -> bytes | None:
    """Return the text of a list of numbers, also of a list within lists of length 1; None for all else."""
    depth = len(text) - len(text.lstrip(b"["))
    if not 1 <= depth <= 3 or text.count(b"[") != depth or not text.endswith(b"]" * depth):
        return None
    inner = text[depth - 1 : len(text) - depth + 1]
    numbers = json_of(inner)
    return inner if numbers and all(isinstance(number, int | float) for number in numbers) else None
