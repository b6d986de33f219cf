"""JSON of a vendor as typed values. A foreign shape raises UnreadableLine; a misspelt name in our code does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import orjson

from opensearch_batch.providers.protocol import UnreadableLine

T = TypeVar("T")


def decoder(shape: type[T]) -> Callable[[bytes], T]:
    """Return a function from JSON text to `shape`; the function raises UnreadableLine."""
    decode = msgspec.json.Decoder(shape).decode

    def decoded(raw: bytes) -> T:
        try:
            return decode(raw)
        except ValueError as error:  # msgspec's own, and UnicodeDecodeError
            raise UnreadableLine(str(error)) from error

    return decoded


class _Told(msgspec.Struct):
    unreadable: str


_told = decoder(_Told)


def unreadable(reason: str) -> bytes:
    """Return a line for `read_line` in place of output without a known row."""
    return orjson.dumps({"unreadable": reason})


def explained(raw: bytes, error: UnreadableLine) -> UnreadableLine:
    """Return the reason in a line made by `unreadable`; for every foreign line the reader's own error."""
    try:
        return UnreadableLine(_told(raw).unreadable)
    except UnreadableLine:
        return error


def as_shape(value: Any, shape: type[T], *, strict: bool = True) -> T:
    """Convert values as `json_of` gives them, or raise UnreadableLine. Not strict: numbers may have quotes."""
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as error:
        raise UnreadableLine(str(error)) from error


def json_of(text: bytes | str) -> Any:
    """Parse JSON of any shape, or raise UnreadableLine."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnreadableLine(str(error)) from error
