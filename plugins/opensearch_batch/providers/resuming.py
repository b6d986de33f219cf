"""Downloads, resumed where the connection broke off, and the lines of downloads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from opensearch_batch.errors import Unavailable

log = logging.getLogger(__name__)

RESUMES = 8
"""After so many breaks in a row without progress a download is given up."""


class _Larger(Unavailable):
    """Asking for the rest would not help."""


def resumed(what: str, size: int, open_from: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """Yield all `size` bytes of a file, named `what` in errors. `open_from` yields the chunks from a byte on, and
    raises Unavailable where the connection breaks.

    Raise Unavailable where the file does not arrive whole, however often requested.
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
    """Yield lines without line ends."""
    rest: list[bytes] = []  # joined once: the answer to a request of many texts is as long as hundreds of chunks
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for line in others:
            yield b"".join(rest)
            rest = [line]
    if last := b"".join(rest):
        yield last
