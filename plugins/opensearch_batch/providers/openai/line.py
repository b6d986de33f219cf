"""A line of a batch's output file or error file as an Answer, in any shape of OpenAI and compatible servers."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.openai.codes import RELAYED, passes, relayed_passes
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import as_shape

NOT_IN_NUMBERS = (b'"', b"n", b"t", b"f", b"{")
"""First bytes of JSON values that are neither numbers nor lists: text, null, true, false, objects."""


class _AnyResponse(msgspec.Struct):
    status_code: int | float | None = None
    body: Any = None


class AnyLine(msgspec.Struct):
    """A line of either file; the error file has refused requests (in `response`) and requests not run (in `error`)."""

    custom_id: str | int | float
    response: _AnyResponse | None = None
    error: dict[str, Any] | None = None


class _AnyTokens(msgspec.Struct):
    """Embeddings and chat say prompt/completion tokens, responses input/output tokens."""

    prompt_tokens: int | float | None = None
    input_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    output_tokens: int | float | None = None


class _AnyVector(msgspec.Struct):
    embedding: Any


class _AnyMessage(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _AnyChoice(msgspec.Struct):
    message: _AnyMessage
    finish_reason: Any = None


class _Part(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    content: list[_Part] | None = None


class _AnyBody(msgspec.Struct):
    """An answer of any endpoint: `data` of embeddings, `choices` of a chat, `output` of a response."""

    usage: Any = None
    data: list[_AnyVector] | None = None
    choices: list[_AnyChoice] | None = None
    output: list[_Item] | None = None
    status: Any = None


def read_any(line: AnyLine) -> Answer:
    custom_id, response = str(line.custom_id), line.response or _AnyResponse()
    status, told = _whole(response.status_code), response.body or {}
    if error := line.error or _error_in(told):
        return _reason(custom_id, status, error)
    if status is None:
        raise UnreadableLine("neither a status nor an error")
    if status != 200:
        words = orjson.dumps(told).decode()[:500]
        return Answer(custom_id, code=str(status), message=words, passing=passes(str(status), status))
    body = as_shape(told, _AnyBody)
    usage = _usage(as_shape(body.usage or {}, _AnyTokens, strict=False))
    if body.data is not None:
        return Answer(custom_id, vector=vector_of(_only(body.data).embedding), usage=usage)
    output, why_none = _text(body)
    if not output:
        return Answer(custom_id, code="no_output", message=why_none, usage=usage)
    return Answer(custom_id, output=output, usage=usage)


def _error_in(body: Any) -> dict[str, Any] | None:
    found = body.get("error") if isinstance(body, dict) else None
    return as_shape(found, dict[str, Any]) if found else None


def _reason(custom_id: str, status: int | None, error: Mapping[str, Any]) -> Answer:
    code, message = str(error.get("code") or error.get("type") or status), str(error.get("message", ""))
    passing = passes(code, status) or (code == RELAYED and relayed_passes(message))
    return Answer(custom_id, code=code, message=message, passing=passing)


def _whole(number: int | float | None) -> int | None:
    return None if number is None else int(number)


def _only(vectors: list[_AnyVector]) -> _AnyVector:
    if len(vectors) != 1:
        raise UnreadableLine(f"{len(vectors)} vectors for one text")
    return vectors[0]


def vector_of(embedding: Any) -> bytes | array[float]:
    """Return the JSON text of numbers, or with `encoding_format: base64` little-endian single-precision values."""
    if isinstance(embedding, str):
        return _from_base64(embedding)
    text = orjson.dumps(embedding)
    if not is_list_of_numbers(text):
        raise UnreadableLine("a vector that is not a list of numbers")
    return text


def _from_base64(text: str) -> array[float]:
    try:
        values = array("f", base64.b64decode(text, validate=True))
    except ValueError as error:  # base64's own too, and bytes that are no whole number of values
        raise UnreadableLine(f"a vector in base64: {error}") from error
    if sys.byteorder == "big":
        values.byteswap()
    if not values:
        raise UnreadableLine("an empty vector")
    return values


def is_list_of_numbers(text: bytes) -> bool:
    """Return whether well-formed JSON is a list of numbers, without a look at the numbers."""
    return (
        text[:1] == b"["
        and text.rfind(b"[") == 0
        and text.strip(b"[] \t\r\n") != b""
        and not any(sign in text for sign in NOT_IN_NUMBERS)
    )


def _text(body: _AnyBody) -> tuple[str, str]:
    """Return the answer's text, and the reason for an empty text: a refusal, or the finish reason."""
    if body.choices is not None:
        if not body.choices:
            raise UnreadableLine("a chat without a choice")
        choice = body.choices[0]
        return choice.message.content or "", choice.message.refusal or f"finish_reason {choice.finish_reason}"
    if body.output is None:
        raise UnreadableLine("neither data nor choices nor output")
    parts = [part for item in body.output for part in item.content or []]
    why = [part.refusal for part in parts if part.refusal] or [f"status {body.status}"]
    return "".join(part.text or "" for part in parts), "; ".join(why)


def _usage(tokens: _AnyTokens) -> Usage:
    return Usage(
        int(tokens.prompt_tokens or tokens.input_tokens or 0),
        int(tokens.completion_tokens or tokens.output_tokens or 0),
    )
