"""JSON of a vendor as typed values: all that has another shape is UnreadableLine, a misspelt name of ours is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import orjson

from opensearch_batch.providers.protocol import UnreadableLine

T = TypeVar("T")


def decoder(shape: type[T]) -> Callable[[bytes], T]:
    """Make the function that decodes JSON text into `shape`, or raises UnreadableLine."""
    decode = msgspec.json.Decoder(shape).decode

    def decoded(raw: bytes) -> T:
        try:
            return decode(raw)
        except ValueError as error:  # msgspec's own, and UnicodeDecodeError
            if (plain := _without_bare_words(raw)) is not None:
                return decoded(plain)
            raise UnreadableLine(str(error)) from error

    return decoded


class _Told(msgspec.Struct):
    unreadable: str


_told = decoder(_Told)


def unreadable(reason: str) -> bytes:
    """Make the line that a store hands on in place of output of no known row."""
    return orjson.dumps({"unreadable": reason})


def explained(raw: bytes, error: UnreadableLine) -> UnreadableLine:
    """Return the reason in a line made by `unreadable`, and for any other line the reader's own error."""
    try:
        return UnreadableLine(_told(raw).unreadable)
    except UnreadableLine:
        return error


def as_shape(value: Any, shape: type[T], *, strict: bool = True) -> T:
    """Convert values as `json_of` gives them, or raise UnreadableLine. Not strict: numbers may stand in quotes."""
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as error:
        raise UnreadableLine(str(error)) from error


def json_of(text: bytes | str) -> Any:
    """Parse JSON of any shape, or raise UnreadableLine."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if (plain := _without_bare_words(text)) is not None:
            return json_of(plain)
        raise UnreadableLine(str(error)) from error


def _without_bare_words(text: bytes | str) -> bytes | None:
    """JSON with null for the NaN and Infinity that servers in Python write; None where there is no such word, or no
    JSON.
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)  # msgspec's Raw too
    if b"NaN" not in raw and b"Infinity" not in raw:
        return None
    try:
        plain = orjson.dumps(json.loads(raw))
    except (RecursionError, TypeError, ValueError):
        return None
    return plain if plain != raw else None
