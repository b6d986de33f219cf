"""Text hash: a name for a text together with the model that it is sent to. Equal hashes need no second answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

WITHOUT_MEANING = frozenset({"encoding_format"})
"""Parameters that change how an answer is written, not the answer."""


def model_hash(provider: str, name: str, endpoint: str, parameters: Mapping[str, Any], cut: Any = None) -> bytes:
    """Return 16 bytes that stand for a model, the parameters sent with each row, and `cut`: how texts are shortened
    before they are sent.
    """
    sent = {key: value for key, value in parameters.items() if key not in WITHOUT_MEANING}
    named = orjson.dumps([provider, name, endpoint, sent, cut], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(named, digest_size=16).digest()


def text_hash(model: bytes, text: str) -> str:
    """Return 32 hexadecimal digits; `model` is a model_hash."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=model).hexdigest()


def is_text_hash(value: Any) -> bool:
    """Whether it looks like one: the field of a document may be somebody else's."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None
