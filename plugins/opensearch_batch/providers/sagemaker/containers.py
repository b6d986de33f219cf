"""A model container's answer to a record: a vector or a text, in the shapes of common containers.

Hugging Face's toolkit: https://github.com/aws/sagemaker-huggingface-inference-toolkit (a list a text; generated_text);
JumpStart's embedding models: {"embedding": […]}. An unknown shape is handed on unchanged, as text.
"""

from __future__ import annotations

from typing import Any

import orjson

from opensearch_batch.flow.answers import Answer
from opensearch_batch.providers.passing import passes
from opensearch_batch.providers.reading import json_of, spoken_in
from opensearch_batch.providers.shape import reason, words

VECTORS = ("embedding", "embeddings", "vector", "vectors", "sentence_embeddings")
"""Names of a vector, and of nothing else."""
EITHER = ("predictions", "data")
PARTS = ("text", "output_text", "thinking", "reasoning")
"""Types of the parts of a message."""
NO_OUTPUT = "no_output"
TEXTS = ("generated_text", "summary_text", "translation_text", "answer")


def answer(row_id: str, output: bytes) -> Answer:
    """Read a container's answer. Raise UnreadableLine where the answer is no JSON."""
    if vector := _only_list(output):
        return Answer(row_id, vector=vector)
    return _read(row_id, json_of(output), output)


def _read(row_id: str, said: Any, output: bytes) -> Answer:
    if isinstance(said, dict):
        if error := said.get("error") or said.get("errorMessage"):
            return _refused(row_id, said.get("code"), error)
        for name in VECTORS:
            if name in said:
                return _vector(row_id, orjson.dumps(said[name]))
        for name in EITHER:
            if isinstance(said.get(name), list):
                return answer(row_id, orjson.dumps(said[name]))
        for name in TEXTS:
            if isinstance(said.get(name), str | list):
                return _text(row_id, said[name], said.get("details"))
    if _is_of_parts(said):
        return _text(row_id, said)
    if isinstance(said, list) and len(said) == 1 and not isinstance(said[0], int | float):
        return _read(row_id, said[0], orjson.dumps(said[0]))
    if isinstance(said, list) and said and all(isinstance(part, list) for part in said):
        return Answer(
            row_id,
            code="no_vector",
            message=f"the container gave {len(said)} lists of numbers for one text, one a token: it does not pool them",
        )
    if isinstance(said, str):
        return _text(row_id, said)
    if isinstance(said, list) and said and not any(isinstance(part, str | dict) for part in said):
        return Answer(row_id, vector=orjson.dumps(said))
    return _empty(row_id) if said in (None, [], {}) else Answer(row_id, output=output.decode())


def _refused(row_id: str, code: Any, error: Any) -> Answer:
    told, message = reason(error)
    named = words(code) or told or "container_error"
    return Answer(row_id, code=named, message=message, passing=passes(named))


def _vector(row_id: str, output: bytes) -> Answer:
    """What has a vector's name is a vector, or a reason: never a text."""
    found = answer(row_id, output)
    return Answer(row_id, vector=output) if found.output is not None or found.code == NO_OUTPUT else found


def _text(row_id: str, content: Any, details: Any = None) -> Answer:
    """`content` is a text, its parts, or a conversation with the answer last. `details` say why the text ended:
    https://huggingface.co/docs/text-generation-inference.
    """
    if isinstance(content, list) and content and isinstance(content[-1], dict) and "role" in content[-1]:
        content = content[-1].get("content")
    text = spoken_in(content)
    truncated = isinstance(details, dict) and details.get("finish_reason") == "length"
    return Answer(row_id, output=text, truncated=truncated) if text else _empty(row_id)


def _is_of_parts(said: Any) -> bool:
    """Whether a list has the parts of a message."""
    return isinstance(said, list) and any(isinstance(part, dict) and part.get("type") in PARTS for part in said)


def _empty(row_id: str) -> Answer:
    return Answer(row_id, code=NO_OUTPUT, message="the container gave an empty answer")


def _only_list(text: bytes) -> bytes | None:
    """The text of the only list, in up to two lists around; None for a list of texts or objects, and for several lists,
    which are read long.
    """
    depth = len(text) - len(text.lstrip(b"["))
    if not 1 <= depth <= 3 or text.count(b"[") != depth or not text.endswith(b"]" * depth):
        return None
    inner = text[depth - 1 : len(text) - depth + 1]
    return inner if text != b"[]" and b'"' not in inner and b"{" not in inner else None
