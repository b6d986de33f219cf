"""A line of a batch's output file or error file as an Answer, in any shape of OpenAI and compatible servers."""

from __future__ import annotations

import base64
import sys
from array import array
from typing import Any

import msgspec
import orjson

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.openai.images import was_slow
from opensearch_batch.providers.openai.relayed import RELAYED, relayed_passes
from opensearch_batch.providers.passing import passes
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import as_shape, spoken_in
from opensearch_batch.providers.shape import count, inner, number, reason
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.unsigned import unsigned

LIMITS = frozenset(["length", "max_tokens", "model_length"])
"""`finish_reason` of a text that a limit of tokens ended: https://platform.openai.com/docs/api-reference/chat/object,
and https://docs.mistral.ai/api for the last.
"""
LIMIT_OF_RESPONSES = "max_output_tokens"
"""Likewise of an incomplete response: https://platform.openai.com/docs/api-reference/responses/object."""


class _AnyResponse(msgspec.Struct):
    status_code: Any = None
    body: Any = None


class AnyLine(msgspec.Struct):
    """A line of either file; the error file has refused requests (in `response`) and requests not run (in `error`)."""

    custom_id: str | int | float
    response: _AnyResponse | None = None
    error: Any = None


class _AnyVector(msgspec.Struct):
    embedding: Any = None


class _AnyMessage(msgspec.Struct):
    content: Any = None
    refusal: str | None = None


class _AnyChoice(msgspec.Struct):
    message: _AnyMessage
    finish_reason: Any = None


class _Item(msgspec.Struct):
    content: Any = None


class _AnyBody(msgspec.Struct):
    """An answer of any endpoint: `data` of embeddings, `choices` of a chat, `output` of a response."""

    usage: Any = None
    data: list[_AnyVector | None] | None = None
    choices: list[_AnyChoice] | None = None
    output: list[_Item] | None = None
    status: Any = None
    incomplete_details: Any = None


def read_any(line: AnyLine) -> Answer:
    custom_id, response = str(line.custom_id), line.response or _AnyResponse()
    status, told = _whole(response.status_code), response.body
    if error := line.error or inner(told, "error"):
        return _reason(custom_id, status, error, replied=status == 200 and not line.error)
    if status is None:
        raise UnreadableLine("neither a status nor an error")
    if status != 200:
        said = orjson.dumps(told).decode() if told else f"HTTP status {status}, and no words"
        return Answer(custom_id, code=str(status), message=unsigned(scrubbed(said))[:500], passing=passes(str(status)))
    body = as_shape(told, _AnyBody)
    usage = _usage(body.usage)
    if body.data is not None:
        return Answer(custom_id, vector=vector_of(_only(body.data)), usage=usage)
    output, why_none, truncated = _text(body)
    if not output:
        return Answer(custom_id, code="no_output", message=why_none, usage=usage)
    return Answer(custom_id, output=output, usage=usage, truncated=truncated)


def _reason(custom_id: str, status: int | None, error: Any, *, replied: bool) -> Answer:
    code, message = reason(error)
    code = code or str(status or "error")
    passing = passes(code, status) or (code == RELAYED and relayed_passes(message)) or was_slow(message)
    return Answer(custom_id, code=code, message=message, passing=passing, replied=replied)


def _whole(status: Any) -> int | None:
    found = number(status)
    return None if found is None else int(found)


def _only(vectors: list[_AnyVector | None]) -> Any:
    """Return the only vector as the line has the vector: of any shape, None where the list is empty."""
    if len(vectors) > 1:
        raise UnreadableLine(f"{len(vectors)} vectors for one text")
    return vectors[0].embedding if vectors and vectors[0] else None


def vector_of(embedding: Any) -> bytes | array[float]:
    """Return JSON text, or with `encoding_format: base64` single-precision values, sent little-endian. A text that is
    no such base64 stays JSON text.
    """
    if not isinstance(embedding, str):
        return orjson.dumps(embedding)
    try:
        values = array("f", base64.b64decode(embedding, validate=True))
    except ValueError:  # base64's own too, and bytes that are no whole number of values
        return orjson.dumps(embedding)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _text(body: _AnyBody) -> tuple[str, str, bool]:
    """Return the answer's text, why an answer has no text (a refusal, or the reason of the end), and whether a limit
    of tokens ended the text.
    """
    if body.choices is not None:
        if not body.choices:
            raise UnreadableLine("a chat without a choice")
        choice = body.choices[0]
        why_none = choice.message.refusal or f"finish_reason {choice.finish_reason}"
        return spoken_in(choice.message.content), why_none, _is_limit(choice.finish_reason)
    if body.output is None:
        raise UnreadableLine("neither data nor choices nor output")
    contents = [item.content for item in body.output]
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    why = [str(part["refusal"]) for part in parts if part.get("refusal")] or [f"status {body.status}"]
    details = body.incomplete_details
    truncated = isinstance(details, dict) and details.get("reason") == LIMIT_OF_RESPONSES
    return "".join(map(spoken_in, contents)), "; ".join(why), truncated


def _is_limit(finish_reason: Any) -> bool:
    return isinstance(finish_reason, str) and finish_reason in LIMITS


def _usage(tokens: Any) -> Usage:
    """Embeddings and chat say prompt and completion tokens, responses input and output tokens."""
    return Usage(
        count(inner(tokens, "prompt_tokens")) or count(inner(tokens, "input_tokens")),
        count(inner(tokens, "completion_tokens")) or count(inner(tokens, "output_tokens")),
    )
