"""Lines: a job's output read into answers. A line may be at fault, or its reader; a fault of the reader is no row's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.answers import Answer
from opensearch_batch.prepare.grouping import Groups, by_row
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.reading import with_nulls

UNREAD = (
    "Nothing of the job landed, and none of its rows is sent again. Its files stay at the provider: once a version "
    "reads them, clear fetch_output; to clear submit_batch would not help."
)
"""The end of an error about a job's output as a whole."""

DEEP = 250
"""So many levels of a line, and more, are beyond JSON libraries (orjson writes 254)."""


class Reader(Protocol):
    """Reads lines with answers; every provider is one. The members' errors are those of Provider."""

    @property
    def NAME(self) -> str: ...

    def read_line(self, raw: bytes) -> Answer: ...

    def read_many(self, raw: bytes) -> Iterator[Answer | None]: ...


class Unreadable(Protocol):
    """Counts lines, and parts of lines, that cannot be read; a Tally is one."""

    unreadable: int
    first_unreadable: str

    def cannot_read(self, line: int, why: str) -> None: ...


def read_answers(
    lines: Iterable[bytes], provider: Reader, groups: Groups | None, count: Unreadable, job_name: str
) -> Iterator[Answer]:
    """Yield the answers in the lines; blank lines are passed over. Raise UnknownAnswer where no line can be read."""
    readable = False
    for answer in _read(lines, provider, groups, count, job_name):
        readable = True
        yield answer
    if count.unreadable and not readable:
        raise UnknownAnswer(f"{job_name}: no line of its output can be read; {count.first_unreadable}. {UNREAD}")


def _read(
    lines: Iterable[bytes], provider: Reader, groups: Groups | None, count: Unreadable, job_name: str
) -> Iterator[Answer]:
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            for answer in _answers(raw, provider, groups):
                if answer is None:
                    count.cannot_read(number, "a part of it has another shape")
                else:
                    yield answer
        except UnreadableLine as error:
            count.cannot_read(number, str(error))
        except Exception as error:  # whatever it is, a reader of ours or of another package is at fault, and no row
            if _is_too_deep(error, raw):
                count.cannot_read(number, "it is nested too deeply")
                continue
            kind = type(error).__name__
            raise UnknownAnswer(
                f"{job_name}: the reader of provider {provider.NAME!r} failed at line {number} of the job's output: "
                f"{kind}: {error}. That is a fault of the reader, not of a row. {UNREAD}"
            ) from error


def _is_too_deep(error: Exception, raw: bytes) -> bool:
    """Whether the line, and not the reader, is at fault for an end of the stack; orjson's own error is a TypeError."""
    ended = isinstance(error, RecursionError) or "Recursion limit" in str(error)
    return ended and raw.count(b"[") + raw.count(b"{") >= DEEP


def _answers(raw: bytes, provider: Reader, groups: Groups | None) -> Iterator[Answer | None]:
    """Yield what a line says; a number that JSON cannot have, such as NaN, is read as null."""
    begun = False
    try:
        for answer in _answers_in(raw, provider, groups):
            begun = True
            yield answer
    except UnreadableLine:
        if begun or (plain := with_nulls(raw)) is None:
            raise
        yield from _answers_in(plain, provider, groups)


def _answers_in(raw: bytes, provider: Reader, groups: Groups | None) -> Iterable[Answer | None]:
    return (provider.read_line(raw),) if groups is None else by_row(provider.read_many(raw), groups)
