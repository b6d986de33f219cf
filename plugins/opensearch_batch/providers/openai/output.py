"""Lines of a batch's output file and error file at OpenAI and compatible servers, in any order: joined by `custom_id`.

The common lines, a vector or a chat's text, have fast paths; line.py reads the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import orjson

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.openai.line import LIMITS, AnyLine, read_any, vector_of
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import as_shape, decoder, json_of
from opensearch_batch.providers.simd_json import Parser

KEY = b'"embedding":'
KEY_WITHIN = 1024
"""Bytes of a line searched for the key of a vector; a line with a later key is read the long way."""


_parser = Parser()


def read_line(raw: bytes) -> Answer:
    """Read a line of either file. A vector's text is checked and handed on as received, beside the numbers."""
    read = _embedded if raw.find(KEY, 0, KEY_WITHIN) >= 0 else _spoken
    return read(raw) or _read_slowly(raw)


def _read_slowly(raw: bytes) -> Answer:
    line = json_of(raw)
    plain = _with_open_body(line)
    return read_line(plain) if plain else read_any(as_shape(line, AnyLine))


def _with_open_body(line: Any) -> bytes | None:
    """Return the line with `response.body` as JSON where the body is JSON in a string; None for a body of another kind.

    ogx 1.5.0 writes bodies in strings (tests/real/test_compatible.py), OpenAI does not. The JSON stands unchanged in
    the new line: `_embedded` hands a vector's text on.
    """
    response: Any = line.get("response") if isinstance(line, dict) else None
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(body, str) or not body.startswith("{"):
        return None
    json_of(body)  # else it could end its place in the line before its own end
    return orjson.dumps({**line, "response": {**response, "body": orjson.Fragment(body)}})


def _embedded(raw: bytes) -> Answer | None:
    """Read an answered line with a single vector, the common case, on a fast path; None for all further lines.

    Nothing of the parsed document may outlive this call, or the parser refuses the next document.
    """
    try:
        line = _parser.parse(raw)
        custom_id, response = line["custom_id"], line["response"]
        body = response["body"]
        (entry,) = body["data"]
        numbers = entry["embedding"].as_buffer(of_type="d")
        usage = body.get("usage")
        tokens = usage.get("prompt_tokens", 0) if usage else 0
        answered = response["status_code"] == 200 and not line.get("error") and not body.get("error")
    # RuntimeError: a whole number of more than 64 bits.
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
        return None
    text = _only_vector(raw)
    if (
        not answered
        or not text
        or not memoryview(numbers).nbytes
        or not isinstance(custom_id, str)
        or not isinstance(tokens, int)
        or tokens < 0
    ):
        return None
    return Answer(custom_id, vector=text, numbers=numbers, usage=Usage(tokens))


class _ChatTokens(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Chat(msgspec.Struct):
    choices: list[_Choice]
    usage: _ChatTokens | None = None
    error: None = None


class _Answered(msgspec.Struct):
    status_code: Literal[200]
    body: _Chat


class _Spoken(msgspec.Struct):
    custom_id: str
    response: _Answered
    error: None = None


_decode_spoken = decoder(_Spoken)


def _spoken(raw: bytes) -> Answer | None:
    """Read an answered line of a chat on a fast path; None for all further lines."""
    try:
        line = _decode_spoken(raw)
    except UnreadableLine:
        return None
    body = line.response.body
    if not body.choices or not (text := body.choices[0].message.content):
        return None
    tokens = body.usage
    return Answer(
        line.custom_id,
        text,
        usage=Usage(tokens.prompt_tokens, tokens.completion_tokens) if tokens else Usage(),
        truncated=body.choices[0].finish_reason in LIMITS,
    )


def _only_vector(raw: bytes) -> bytes | None:
    """Return the list after the only key `embedding` of a well-formed line; None where the bytes alone do not tell, or
    for a list of lists. After a backslash the key may be the end of a longer key.
    """
    at = raw.find(KEY)
    begin, end = raw.find(b"[", at), raw.find(b"]", at) + 1
    if at < 1 or raw[at - 1 : at] == b"\\" or raw.find(KEY, at + 1, begin) >= 0 or raw.find(KEY, end) >= 0:
        return None
    text = raw[begin:end]
    return text if not raw[at + len(KEY) : begin].strip() and text.rfind(b"[") == 0 else None


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0


class _Entry(msgspec.Struct):
    index: int
    embedding: msgspec.Raw = msgspec.Raw(b"null")


class _Entries(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: _Tokens | None = None
    error: None = None


class _Listed(msgspec.Struct):
    status_code: Literal[200]
    body: _Entries


class _EmbeddedMany(msgspec.Struct):
    """An answered line with a vector for every text of the request."""

    custom_id: str
    response: _Listed
    error: None = None


_embedded_many = decoder(_EmbeddedMany)
_entry = decoder(_Entry)


def read_many(raw: bytes) -> Iterator[Answer | None]:
    try:
        line = _embedded_many(raw)
    except UnreadableLine:
        slowly = json_of(raw)
        if plain := _with_open_body(slowly):
            yield from read_many(plain)
        else:
            yield _only_a_reason(read_any(as_shape(slowly, AnyLine)))
        return
    body = line.response.body
    usage = Usage(body.usage.prompt_tokens if body.usage else 0)
    for part in body.data:
        try:
            entry = _entry(part)
            text = bytes(entry.embedding)
            vector = vector_of(json_of(text)) if text.startswith(b'"') else text
        except UnreadableLine:
            yield None
        else:
            yield Answer(line.custom_id, vector=vector, usage=usage, position=entry.index)
            usage = Usage()


def _only_a_reason(answer: Answer) -> Answer:
    if answer.answered:
        raise UnreadableLine("an answer without a list of vectors")
    return answer
