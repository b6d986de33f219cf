"""A call as the index face reads it, and what it answers."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.index_face.errors import Problem, illegal_argument, not_served

COMMON = frozenset({"filter_path", "pretty", "human", "error_trace"})


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    """None: an empty body."""


class Raw:
    """JSON text that is put into an answer as it is."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


@dataclass(frozen=True)
class Call:
    """`segments` are the parts of the path, decoded."""

    method: str
    path: str
    segments: tuple[str, ...]
    params: dict[str, str]
    raw: bytes

    @property
    def is_filtered(self) -> bool:
        return "filter_path" in self.params

    def check_params(self, *known: str) -> None:
        if unknown := sorted(set(self.params) - COMMON - set(known)):
            raise not_served(f"{unknown} as a parameter of {self.method} {self.path}")

    def body(self) -> dict[str, Any]:
        """The JSON object; empty where there is none."""
        if not self.raw.strip():
            return {}
        try:
            value = orjson.loads(self.raw)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "json_parse_exception", f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            reason = "Failed to parse object: expecting token of type [START_OBJECT]"
            raise Problem(400, "parsing_exception", reason)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.params.get(name)
        if value is None:
            return default
        if value not in ("", "true", "false"):
            raise illegal_argument(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
        return value != "false"

    def number(self, name: str) -> int | None:
        value = self.params.get(name)
        if value is None:
            return None
        try:
            return int(value)
        except ValueError:
            reason = f"Failed to parse int parameter [{name}] with value [{value}]"
            raise illegal_argument(reason) from None


def unzipped(raw: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(400, "zip_exception", str(error)) from None


def text_of(body: Any) -> bytes:
    return orjson.dumps(body, default=_default)


def _default(value: Any) -> Any:
    if isinstance(value, Raw):
        return orjson.Fragment(value.text)
    raise TypeError(type(value).__name__)


def plain(value: Any) -> Any:
    """With texts read, so that it can be filtered."""
    if isinstance(value, Raw):
        return orjson.loads(value.text)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
