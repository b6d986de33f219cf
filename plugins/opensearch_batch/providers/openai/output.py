"""Lines of a batch's output file and error file at OpenAI and compatible servers. They come in any order: join them by
`custom_id`.
"""

from __future__ import annotations

import base64
import re
import sys
import threading
from array import array
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import orjson

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.providers.passing import passes
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import as_shape, decoder, json_of
from opensearch_batch.providers.shape import count, inner, number, reason, spoken

RELAYED = "request_failed"
"""What ogx 1.5.0 says of each row that its model server did not answer; the reason stands in the message, in the words
of the SDK that it asks with (https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py).
"""
RELAYED_STATUS = re.compile(r"Error code: (\d{3})\b")
UNANSWERED = ("Connection error.", "Request timed out.")


NOT_IN_NUMBERS = (b'"', b"n", b"t", b"f", b"{")
"""Bytes that begin everything JSON knows but numbers and lists: text, null, true, false, objects."""


KEY = b'"embedding":'
KEY_WITHIN = 1024
"""Bytes of a line in which the key of its only vector stands; where it comes later the line is read the long way."""


class _Parser(threading.local):
    """One for each thread: a parser holds one document at a time."""

    def __init__(self) -> None:
        import simdjson

        self.parse: Any = simdjson.Parser().parse


_parser = _Parser()


def read_line(raw: bytes) -> Answer:
    """A vector's text is checked and handed on as it came, beside its numbers: neither is made from the other."""
    read = _embedded if raw.find(KEY, 0, KEY_WITHIN) >= 0 else _spoken
    return read(raw) or _read_slowly(raw)


class _AnyResponse(msgspec.Struct):
    status_code: Any = None
    body: Any = None


class _AnyLine(msgspec.Struct):
    """A line of either file; the error file holds refused requests (in `response`) and unrun ones (in `error`)."""

    custom_id: str | int | float
    response: _AnyResponse | None = None
    error: Any = None


def _read_slowly(raw: bytes) -> Answer:
    line = json_of(raw)
    plain = _with_open_body(line)
    return read_line(plain) if plain else _read_any(as_shape(line, _AnyLine))


def _with_open_body(line: Any) -> bytes | None:
    """The line with the JSON that its `response.body` is the text of; None where that is no such text.

    ogx 1.5.0 writes such lines (tests/real/test_compatible.py), OpenAI does not. The JSON stands in the new line as it
    came: `_embedded` hands a vector's text on.
    """
    response: Any = line.get("response") if isinstance(line, dict) else None
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(body, str) or not body.startswith("{"):
        return None
    json_of(body)  # else it could end its place in the line before its own end
    return orjson.dumps({**line, "response": {**response, "body": orjson.Fragment(body)}})


def _embedded(raw: bytes) -> Answer | None:
    """An answered line with one vector, which is worth a path of its own. None for every other.

    Nothing of the parsed document may outlive this call, or the parser refuses the next one.
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
    """An answered line of a chat: likewise."""
    try:
        line = _decode_spoken(raw)
    except UnreadableLine:
        return None
    body = line.response.body
    if not body.choices or not (text := body.choices[0].message.content):
        return None
    tokens = body.usage
    return Answer(
        line.custom_id, text, usage=Usage(tokens.prompt_tokens, tokens.completion_tokens) if tokens else Usage()
    )


def _only_vector(raw: bytes) -> bytes | None:
    """The list after the one key `embedding` of a well-formed line; None where the bytes alone do not tell, or where it
    holds other lists. With a backslash before it the key may be the end of another one.
    """
    at = raw.find(KEY)
    begin, end = raw.find(b"[", at), raw.find(b"]", at) + 1
    if at < 1 or raw[at - 1 : at] == b"\\" or raw.find(KEY, at + 1, begin) >= 0 or raw.find(KEY, end) >= 0:
        return None
    text = raw[begin:end]
    return text if not raw[at + len(KEY) : begin].strip() and text.rfind(b"[") == 0 else None


def _is_list_of_numbers(text: bytes) -> bool:
    """Of JSON that is known to be well-formed; looks at no number."""
    return (
        text[:1] == b"["
        and text.rfind(b"[") == 0
        and text.strip(b"[] \t\r\n") != b""
        and not any(sign in text for sign in NOT_IN_NUMBERS)
    )


class _AnyVector(msgspec.Struct):
    embedding: Any


class _AnyMessage(msgspec.Struct):
    content: Any = None
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


def _read_any(line: _AnyLine) -> Answer:
    custom_id, response = str(line.custom_id), line.response or _AnyResponse()
    status, told = _whole(response.status_code), response.body
    if error := line.error or inner(told, "error"):
        return _reason(custom_id, status, error)
    if status is None:
        raise UnreadableLine("neither a status nor an error")
    if status != 200:
        said = orjson.dumps(told).decode() if told else f"HTTP status {status}, and no words"
        return Answer(custom_id, code=str(status), message=said[:500], passing=passes(str(status), status))
    body = as_shape(told, _AnyBody)
    usage = Usage(
        count(inner(body.usage, "prompt_tokens")) or count(inner(body.usage, "input_tokens")),
        count(inner(body.usage, "completion_tokens")) or count(inner(body.usage, "output_tokens")),
    )
    if body.data is not None:
        return Answer(custom_id, vector=_vector(_only(body.data).embedding), usage=usage)
    output, why_none = _text(body)
    if not output:
        return Answer(custom_id, code="no_output", message=why_none, usage=usage)
    return Answer(custom_id, output=output, usage=usage)


def _reason(custom_id: str, status: int | None, error: Any) -> Answer:
    code, message = reason(error)
    code = code or str(status or "error")
    passing = passes(code, status) or (code == RELAYED and _relayed_passes(message))
    return Answer(custom_id, code=code, message=message, passing=passing)


def _whole(status: Any) -> int | None:
    found = number(status)
    return None if found is None else int(found)


def _only(vectors: list[_AnyVector]) -> _AnyVector:
    if len(vectors) != 1:
        raise UnreadableLine(f"{len(vectors)} vectors for one text")
    return vectors[0]


class _Entry(msgspec.Struct):
    index: int
    embedding: msgspec.Raw


class _Entries(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: Any = None
    error: None = None


class _Listed(msgspec.Struct):
    status_code: Literal[200]
    body: _Entries


class _EmbeddedMany(msgspec.Struct):
    """An answered line with a vector for each text of its request."""

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
            yield _only_a_reason(_read_any(as_shape(slowly, _AnyLine)))
        return
    body = line.response.body
    usage = Usage(count(inner(body.usage, "prompt_tokens")))
    for part in body.data:
        try:
            entry = _entry(part)
            text = bytes(entry.embedding)
            vector = text if _is_list_of_numbers(text) else _vector(json_of(text))
        except UnreadableLine:
            yield None
        else:
            yield Answer(line.custom_id, vector=vector, usage=usage, position=entry.index)
            usage = Usage()


def _only_a_reason(answer: Answer) -> Answer:
    if answer.answered:
        raise UnreadableLine("an answer without a list of vectors")
    return answer


def _vector(embedding: Any) -> bytes | array[float]:
    """As it came: whether it has numbers is looked at where rows are joined (land/vectors.py). With
    `encoding_format: base64` little-endian single-precision values.
    """
    return _from_base64(embedding) if isinstance(embedding, str) else orjson.dumps(embedding)


def _from_base64(text: str) -> bytes | array[float]:
    try:
        values = array("f", base64.b64decode(text, validate=True))
    except ValueError:  # base64's own too, and bytes that are no whole number of values
        return orjson.dumps(text)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _relayed_passes(message: str) -> bool:
    told = RELAYED_STATUS.match(message)
    return message in UNANSWERED or (told is not None and passes("", int(told[1])))


def _text(body: _AnyBody) -> tuple[str, str]:
    """The answer's text, and for an answer without any why that is: a refusal, or what ended it."""
    if body.choices is not None:
        if not body.choices:
            raise UnreadableLine("a chat without a choice")
        choice = body.choices[0]
        return spoken(choice.message.content), choice.message.refusal or f"finish_reason {choice.finish_reason}"
    if body.output is None:
        raise UnreadableLine("neither data nor choices nor output")
    parts = [part for item in body.output for part in item.content or []]
    why = [part.refusal for part in parts if part.refusal] or [f"status {body.status}"]
    return "".join(part.text or "" for part in parts), "; ".join(why)
