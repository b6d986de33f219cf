"""Ids that look like the real ones, so that code which parses or truncates them meets the same alphabet and length."""

from __future__ import annotations

import hashlib
import secrets
import string

ALPHANUMERIC = string.ascii_letters + string.digits


def opensearch_id() -> str:
    """20 URL-safe characters, hyphen and underscore among them, and always an upper-case letter: by that the replay of
    recorded exchanges tells an id from a word of the same length.
    """
    while (made := secrets.token_urlsafe(15)).lower() == made:
        continue
    return made


def batch_id() -> str:
    return f"batch_{secrets.token_hex(16)}"


def file_id() -> str:
    return "file-" + "".join(secrets.choice(ALPHANUMERIC) for _ in range(22))


def derived(*parts: object, length: int = 24) -> str:
    """The same parts give the same id: a batch that is computed again after a kill names its files and rows alike."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
    return digest[:length]
