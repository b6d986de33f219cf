"""Lines of a batch's output file and error file at OpenAI and compatible servers. They come in any order: join them by
`custom_id`.
"""

from __future__ import annotations

import base64
import re
import sys
import threading
from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
import orjson

from opensearch_batch.flow.answers import Answer, Usage

PASSING = frozenset(
    [
        "batch_expired",
        "batch_cancelled",
        "rate_limit_exceeded",
        "token_limit_exceeded",
        "server_error",
        "internal_error",
    ]
)
PASSING_STATUSES = frozenset([408, 409, 429])
"""And all from 500 on: those that the vendor's own SDK repeats (https://github.com/openai/openai-python#retries)."""

FOR_GOOD = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
"""Told with a status that passes, but only a person can end them
(https://platform.openai.com/docs/guides/error-codes)."""


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


def _read_slowly(raw: bytes) -> Answer:
    line = orjson.loads(raw)
    plain = _with_open_body(line)
    return read_line(plain) if plain else _read_any(line)


def _with_open_body(line: Mapping[str, Any]) -> bytes | None:
    """The line with the JSON that its `response.body` is the text of; None where that is no such text.

    ogx 1.5.0 writes such lines (tests/real/test_compatible.py), OpenAI does not. The JSON stands in the new line as it
    came: `_embedded` hands a vector's text on.
    """
    response = line.get("response")
    if not isinstance(response, dict):
        return None
    body = response.get("body")
    if not isinstance(body, str) or not body.startswith("{"):
        return None
    orjson.loads(body)  # else it could end its place in the line before its own end
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
    ):
        return None
    return Answer(custom_id, vector=text, numbers=numbers, usage=Usage(tokens))


class _ChatTokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


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


_decode_spoken = msgspec.json.Decoder(_Spoken).decode


def _spoken(raw: bytes) -> Answer | None:
    """An answered line of a chat: likewise."""
    try:
        line = _decode_spoken(raw)
        body = line.response.body
        text = body.choices[0].message.content
    except (msgspec.DecodeError, IndexError):
        return None
    if not text:
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


def _read_any(line: Mapping[str, Any]) -> Answer:
    """A line of either file; the error file holds refused requests (in `response`) and unrun ones (in `error`)."""
    custom_id, response = str(line["custom_id"]), line.get("response") or {}
    body = response.get("body") or {}
    if error := line.get("error") or (body.get("error") if isinstance(body, dict) else None):
        status = response.get("status_code")
        code, message = str(error.get("code") or error.get("type") or status), str(error.get("message", ""))
        passing = passes(code, status) or (code == RELAYED and _relayed_passes(message))
        return Answer(custom_id, code=code, message=message, passing=passing)
    if (status := response["status_code"]) != 200:
        return Answer(
            custom_id, code=str(status), message=orjson.dumps(body).decode()[:500], passing=passes(str(status), status)
        )
    usage = _usage(body.get("usage") or {})
    if "data" in body:
        (only,) = body["data"]
        return Answer(custom_id, vector=_vector(only["embedding"]), usage=usage)
    output, why_none = _text(body)
    if not output:
        return Answer(custom_id, code="no_output", message=why_none, usage=usage)
    return Answer(custom_id, output=output, usage=usage)


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0


class _Entry(msgspec.Struct):
    index: int
    embedding: msgspec.Raw


class _Entries(msgspec.Struct):
    data: list[msgspec.Raw]
    usage: _Tokens | None = None
    error: None = None


class _Listed(msgspec.Struct):
    status_code: Literal[200]
    body: _Entries


class _EmbeddedMany(msgspec.Struct):
    """An answered line with a vector for each text of its request."""

    custom_id: str
    response: _Listed
    error: None = None


_embedded_many = msgspec.json.Decoder(_EmbeddedMany).decode
_entry = msgspec.json.Decoder(_Entry).decode


def read_many(raw: bytes) -> Iterator[Answer | None]:
    try:
        line = _embedded_many(raw)
    except msgspec.DecodeError:
        slowly = orjson.loads(raw)
        if plain := _with_open_body(slowly):
            yield from read_many(plain)
        else:
            yield _only_a_reason(_read_any(slowly))
        return
    body = line.response.body
    usage = Usage(body.usage.prompt_tokens if body.usage else 0)
    for part in body.data:
        try:
            entry = _entry(part)
            text = bytes(entry.embedding)
            vector = text if _is_list_of_numbers(text) else _vector(orjson.loads(text))
        except ValueError:  # msgspec's, orjson's and base64's own errors are ValueErrors
            yield None
        else:
            yield Answer(line.custom_id, vector=vector, usage=usage, position=entry.index)
            usage = Usage()


def _only_a_reason(answer: Answer) -> Answer:
    if answer.answered:
        raise ValueError("an answer without a list of vectors")
    return answer


def _vector(embedding: Any) -> bytes | array[float]:
    """Numbers, or with `encoding_format: base64` little-endian single-precision values."""
    if isinstance(embedding, str):
        values = array("f", base64.b64decode(embedding, validate=True))
        if sys.byteorder == "big":
            values.byteswap()
        if not values:
            raise ValueError("an empty vector")
        return values
    text = orjson.dumps(embedding)
    if not _is_list_of_numbers(text):
        raise ValueError("a vector that is not a list of numbers")
    return text


def passes(code: str, status: int | None = None) -> bool:
    """Codes and statuses that are not known are for good: what nobody looked at is not paid for twice."""
    if code in FOR_GOOD:
        return False
    return code in PASSING or (isinstance(status, int) and (status in PASSING_STATUSES or status >= 500))


def _relayed_passes(message: str) -> bool:
    told = RELAYED_STATUS.match(message)
    return message in UNANSWERED or (told is not None and passes("", int(told[1])))


def _text(body: Mapping[str, Any]) -> tuple[str, str]:
    """The answer's text, and for an answer without any why that is: a refusal, or what ended it."""
    if "choices" in body:
        choice = body["choices"][0]
        message = choice["message"]
        return message.get("content") or "", message.get("refusal") or f"finish_reason {choice.get('finish_reason')}"
    parts = [part for item in body["output"] for part in item.get("content") or []]
    why = [part["refusal"] for part in parts if part.get("refusal")] or [f"status {body.get('status')}"]
    return "".join(part.get("text") or "" for part in parts), "; ".join(why)


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Embeddings and chat say prompt/completion tokens, responses input/output tokens."""
    return Usage(
        int(usage.get("prompt_tokens") or usage.get("input_tokens") or 0),
        int(usage.get("completion_tokens") or usage.get("output_tokens") or 0),
    )
