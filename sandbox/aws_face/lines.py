"""The lines of an object that comes in pieces, and bucket and key of an s3:// address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Without their line ends; empty ones too. One line at a time is held, and the piece it ends in."""
    rest: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest.append(first)
        for other in others:
            yield b"".join(rest).rstrip(b"\r")
            rest = [other]
    if last := b"".join(rest):
        yield last.rstrip(b"\r")


def place(uri: str) -> tuple[str, str]:
    """Bucket and key or prefix of s3://bucket/key; the prefix may be empty."""
    found = re.fullmatch(r"s3://([^/]+)/?(.*)", uri)
    if found is None:
        raise ValueError(f"{uri!r} is not an s3:// address")
    return found[1], found[2]


def below(key: str, prefix: str) -> str:
    """The part of a key that comes after the folder the prefix names, or after the folder it lies in."""
    if not prefix or prefix.endswith("/"):
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def joined(prefix: str, rest: str) -> str:
    return f"{prefix.rstrip('/')}/{rest}".lstrip("/")
