"""Downloads that are taken up again where they broke off, and their lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from opensearch_batch.errors import Unavailable

log = logging.getLogger(__name__)

RESUMES = 8
"""A download may break off this many times in a row without progress before it is given up."""


class _Larger(Unavailable):
    """Asking for the rest would not help."""


def resumed(what: str, size: int, open_from: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """All `size` bytes of `what`. `open_from` gives what comes from a byte on, and raises Unavailable where it breaks.

    Raise Unavailable when it does not come whole, however often it is asked.
    """
    at, without_progress = 0, 0
    while at < size:
        before = at
        try:
            for chunk in open_from(at):
                at += len(chunk)
                if at > size:
                    raise _Larger(f"download of {what}: more came than the {size} bytes the provider says it has")
                yield chunk
        except _Larger:
            raise
        except Unavailable as error:
            log.warning("download of %s broke off after %d of %d bytes: %s", what, at, size, error)
        without_progress = 0 if at > before else without_progress + 1
        if without_progress > RESUMES:
            raise Unavailable(f"download of {what} stopped {RESUMES} times at {at} of {size} bytes")


def in_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Without their ends."""
    rest: list[bytes] = []  # joined once: the answer to a request of many texts is as long as hundreds of chunks
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for line in others:
            yield b"".join(rest)
            rest = [line]
    if last := b"".join(rest):
        yield last
