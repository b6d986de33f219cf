"""The parts of a message's content, text and images by URL, refused where OpenAI refuses them.

Shapes: the types of the openai SDK. Messages: quoted in https://github.com/dataprofessor/builder/issues/3 (type of
image_url), https://github.com/aallam/openai-kotlin/issues/320 (type of a part),
https://github.com/aplpolaris/promptfx/issues/724 (responses) and https://github.com/openai/openai-python/issues/2776
(download); those about a URL's form are not quoted from anywhere. No image is fetched: hosts under .invalid, which no
network has (RFC 2606), are those that OpenAI cannot fetch from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import urlsplit

from sandbox.openai_face.errors import OpenAIError, missing

CHAT_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")
RESPONSE_PARTS = ("input_text", "input_image", "output_text", "refusal", "input_file", "computer_screenshot")
TEXTS = ("text", "input_text", "output_text")
DETAILS = ("auto", "low", "high", "original")


def said_in(content: list[Any], at: str, role: object, *, chat: bool) -> str:
    """The text of the parts, with a short name of each image by its URL. Raises OpenAIError (400)."""
    return " ".join(_said(part, f"{at}[{number}]", role, chat) for number, part in enumerate(content))


def _said(part: Any, at: str, role: object, chat: bool) -> str:
    if not isinstance(part, dict):
        raise _wrong_type(at, "an object", part)
    kind = part.get("type")
    known = CHAT_PARTS if chat else RESPONSE_PARTS
    if kind is None:
        raise missing(f"{at}.type")
    if kind not in known:
        raise _no_value(f"{at}.type", kind, known)
    if kind in TEXTS:
        return _text(part.get("text"), f"{at}.text")
    if kind in ("image_url", "input_image"):
        return _image(part, at, role, chat)
    raise OpenAIError(400, f"the sandbox reads no part of type {kind!r}", param=at, code="not_served_by_the_sandbox")


def _text(value: Any, at: str) -> str:
    if value is None:
        raise missing(at)
    if not isinstance(value, str):
        raise _wrong_type(at, "a string", value)
    return value


def _image(part: dict[str, Any], at: str, role: object, chat: bool) -> str:
    if role != "user":
        message = f"Image URLs are only allowed for messages with role 'user', but this message has role '{role}'."
        raise OpenAIError(400, f"Invalid '{at}'. {message}", param=at, code="invalid_value")
    named = part.get("image_url")
    if named is None:
        raise missing(f"{at}.image_url")
    if chat:
        if not isinstance(named, dict):
            raise _wrong_type(f"{at}.image_url", "an object", named)
        _refuse_detail(named.get("detail"), f"{at}.image_url.detail")
        return _looked_at(_text(named.get("url"), f"{at}.image_url.url"), f"{at}.image_url.url")
    if not isinstance(named, str):
        raise _wrong_type(f"{at}.image_url", "an image URL", named)
    _refuse_detail(part.get("detail"), f"{at}.detail")
    return _looked_at(named, f"{at}.image_url")


def _looked_at(url: str, at: str) -> str:
    if url.startswith("data:"):
        _refuse_data(url, at)
    else:
        _refuse_address(url, at)
    return f"[image {hashlib.blake2b(url.encode(), digest_size=4).hexdigest()}]"


def _refuse_data(url: str, at: str) -> None:
    kind, comma, content = url.partition(",")
    if not comma or not kind.startswith("data:image/") or not kind.endswith(";base64"):
        message = f"Invalid '{at}'. Expected a base64-encoded data URL with an image MIME type."
        raise OpenAIError(400, message, param=at, code="invalid_value")
    try:
        base64.b64decode(content, validate=True)
    except binascii.Error:
        raise OpenAIError(400, f"Invalid base64 image_url: {url[:60]}", param=at, code="invalid_base64") from None


def _refuse_address(url: str, at: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        message = f"Invalid '{at}'. Expected a valid URL, but got a value with an invalid format."
        raise OpenAIError(400, message, param=at, code="invalid_value")
    if host.endswith(".invalid"):
        raise OpenAIError(400, f"Error while downloading {url}.", param="url", code="invalid_value")


def _refuse_detail(value: Any, at: str) -> None:
    if value is not None and value not in DETAILS:
        raise _no_value(at, value, DETAILS)


def _wrong_type(at: str, wanted: str, value: Any) -> OpenAIError:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    got = names.get(type(value), "null" if value is None else "a number")
    message = f"Invalid type for '{at}': expected {wanted}, but got {got} instead."
    return OpenAIError(400, message, param=at, code="invalid_type")


def _no_value(at: str, value: Any, known: tuple[str, ...]) -> OpenAIError:
    *first, last = (f"'{name}'" for name in known)
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(first)}, and {last}."
    return OpenAIError(400, message, param=at, code="invalid_value")
