"""Rows, vectors and texts in the results of a job of any vendor, shaped as servers have been seen to shape them."""

from __future__ import annotations

import base64
import json
import math
from array import array
from typing import Any

import orjson

from sandbox.odd_objects import with_objects

ROW_SHAPES = (
    "status_0",
    "request_timeout",
    "batch_failed",
    "error_500",
    "status_text",
    "nested_error",
    "text_error",
)
VECTOR_SHAPES = ("wide", "null", "nan", "zero", "empty")
TEXT_SHAPES = ("parts", "thoughts", "length")
THOUGHT = "Let me think about this first."
TOO_LONG = "The prompt is too long for this model."
Faults = dict[str, dict[str, Any]]


class OddLines:
    """Falls on the first lines of a job, as many as were ordered."""

    def __init__(self, faults: Faults) -> None:
        self._vectors, self._texts = faults.get("odd_vectors"), faults.get("odd_texts")
        self._objects = faults.get("odd_objects")
        self._seen = 0

    def treat(self, line: bytes) -> bytes:
        shapes = [self._due(order) for order in (self._vectors, self._texts, self._objects)]
        self._seen += 1
        if not any(shapes):
            return line
        said = orjson.loads(line)
        if shapes[0]:
            said = with_vectors(said, shapes[0])
        if shapes[1]:
            said = with_texts(said, shapes[1])
        if shapes[2]:
            said = with_objects(said, shapes[2])
        end = b"\n" if line.endswith(b"\n") else b""
        # The standard library's writes NaN, as servers in Python do.
        return json.dumps(said, separators=(",", ":")).encode() + end

    def treat_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Of a row that is no line."""
        shape = self._due(self._vectors)
        self._seen += 1
        return with_vectors(row, shape) if shape else row

    def _due(self, order: dict[str, Any] | None) -> str:
        if order is None or self._seen >= int(order.get("count", self._seen + 1)):
            return ""
        return str(order["as"])


def with_vectors(said: Any, shape: str) -> Any:
    """Each list of numbers, and each base64 of numbers, in another shape."""
    if isinstance(said, dict):
        return {
            name: _in_base64(value, shape)
            if name == "embedding" and isinstance(value, str)
            else with_vectors(value, shape)
            for name, value in said.items()
        }
    if not isinstance(said, list):
        return said
    if said and all(isinstance(each, int | float) and not isinstance(each, bool) for each in said):
        return shaped(said, shape)
    return [with_vectors(each, shape) for each in said]


def shaped(vector: list[Any], shape: str) -> list[Any]:
    return {
        "wide": vector + vector,
        "null": [None] * len(vector),
        "nan": [math.nan] * len(vector),
        "zero": [0.0] * len(vector),
        "empty": [],
    }[shape]


def _in_base64(text: str, shape: str) -> str:
    numbers = array("f", base64.b64decode(text)).tolist()
    # It has no word for null.
    return base64.b64encode(array("f", shaped(numbers, "nan" if shape == "null" else shape)).tobytes()).decode()


def with_texts(said: Any, shape: str) -> Any:
    """The answer of a chat, of a response, of Claude, of Nova or of a container, wherever it stands in the line."""
    if isinstance(said, list):
        return [with_texts(each, shape) for each in said]
    if not isinstance(said, dict):
        return said
    for name, change in SPOKEN.items():
        if name in said:
            return change(said, shape)
    return {name: with_texts(value, shape) for name, value in said.items() if name != "modelInput"} | {
        name: value for name, value in said.items() if name == "modelInput"
    }


def _chat(said: dict[str, Any], shape: str) -> dict[str, Any]:
    if shape == "length":
        return {**said, "finish_reason": "length"}
    message = said["message"]
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]
    if shape == "parts":
        half = len(message["content"]) // 2
        parts += [{"type": "text", "text": text} for text in (message["content"][:half], message["content"][half:])]
    return {**said, "message": {**message, "content": parts}}


def _response(said: dict[str, Any], shape: str) -> dict[str, Any]:
    if shape == "length":
        return {**said, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": THOUGHT}]}
    thought |= {"content": [{"type": "reasoning_text", "text": THOUGHT}]}
    return {**said, "output": [thought, *(said["output"] if shape == "parts" else [])]}


def _claude(said: dict[str, Any], shape: str) -> dict[str, Any]:
    if shape == "length":
        return {**said, "stop_reason": "max_tokens"}
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmVk"}
    return {**said, "content": [thought, *(said["content"] if shape == "parts" else [])]}


def _nova(said: dict[str, Any], shape: str) -> dict[str, Any]:
    if shape == "length":
        return {**said, "stopReason": "max_tokens"}
    thought = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "c2lnbmVk"}}}
    message = said["output"]["message"]
    content = [thought, *(message["content"] if shape == "parts" else [])]
    return {**said, "output": {"message": {**message, "content": content}}}


def _generated(said: dict[str, Any], shape: str) -> dict[str, Any]:
    """https://huggingface.co/docs/text-generation-inference: `details` say why a text ended."""
    return {**said, "details": {"finish_reason": "length"}} if shape == "length" else said


SPOKEN = {
    "finish_reason": _chat,
    "incomplete_details": _response,
    "stop_reason": _claude,
    "stopReason": _nova,
    "generated_text": _generated,
}
"""By a field that only such an answer has."""


def odd_row(faults: Faults, index: int) -> str | None:
    """What the row at this place comes as, None for the usual."""
    order = faults.get("odd_rows")
    return str(order["as"]) if order and index < int(order.get("count", 1)) else None


def openai_row(shape: str) -> dict[str, Any]:
    """`response` and `error` of a line."""
    response: dict[str, Any] | None = None
    error: Any = None
    if shape == "status_0":
        response = {"status_code": 0, "request_id": "", "body": ""}
    elif shape == "status_text":
        response = {"status_code": "503", "request_id": "", "body": {}}
    elif shape == "nested_error":
        response = {"status_code": 400, "request_id": "", "body": {"error": {"error": {"message": TOO_LONG}}}}
    elif shape == "text_error":
        response, error = {"status_code": 400, "request_id": "", "body": None}, TOO_LONG
    elif shape == "error_500":
        error = {"code": 500}
    else:
        error = {"code": shape, "message": "The request was not answered in time."}
    return {"response": response, "error": error}


def bedrock_error(shape: str) -> Any:
    return {
        "status_0": {"errorCode": 0, "errorMessage": ""},
        "error_500": {"errorCode": 500},
        "status_text": {"errorCode": "503", "errorMessage": "Service unavailable."},
        "nested_error": {"errorCode": 400, "errorMessage": {"error": {"message": TOO_LONG}}},
        "text_error": TOO_LONG,
    }.get(shape, {"errorCode": shape, "errorMessage": "The request was not answered in time."})


def container_output(shape: str) -> Any:
    return {
        "status_0": {"code": 0, "error": ""},
        "error_500": {"error": {"code": 500}},
        "status_text": {"code": "503", "error": "Service unavailable."},
        "nested_error": {"error": {"error": {"message": TOO_LONG}}},
        "text_error": {"error": TOO_LONG},
    }.get(shape, {"error": {"code": shape, "message": "The request was not answered in time."}})
