"""The raw lines of an object, and where an object breaks off."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.storage.errors import as_ours
from opensearch_batch.storage.objects import open_binary


@dataclass(frozen=True)
class SourceLine:
    """A raw line of an object, line end included; `number` counts from 1."""

    raw: bytes
    uri: str
    number: int

    def __str__(self) -> str:
        return f"{self.uri} line {self.number}"


def read_lines(uri: str) -> Generator[SourceLine, None, None]:
    """Yield the lines of an object; * ? [ ] in the name are only signs of the name.

    Raise InputError for an absent object. Raise Unavailable where the object breaks off, with an error or before the
    object's size is reached; the next try of the task reads from the beginning.
    """
    with open_binary(uri) as source:
        yield from lines_of(source, uri)


def lines_of(source: IO[bytes], name: str) -> Iterator[SourceLine]:
    """Yield the lines of an open object. Raise Unavailable where the object breaks off."""
    size = getattr(source, "size", None)
    raws = iter(source)
    at = number = 0
    while True:
        try:
            raw = next(raws, b"")
        except BatchError:
            raise
        except PermissionError as error:
            raise as_ours(f"read {name}", error) from None
        except Exception as error:  # every storage's library has errors of its own
            raise _broke_off(name, number, at, size, f"{type(error).__name__}: {error}") from None
        at += len(raw)
        if size is not None and at < size and not raw.endswith(b"\n"):
            raise _broke_off(name, number, at, size, "no more came")
        if not raw:
            return
        number += 1
        yield SourceLine(raw, name, number)


def _broke_off(name: str, lines: int, at: int, size: int | None, why: str) -> Unavailable:
    of = "" if size is None else f" of {size}"
    return Unavailable(
        f"{name}: the source broke off after line {lines} ({at}{of} bytes): {why}. "
        "Nothing was sent; the next try reads from the beginning."
    )
