"""Downloads, resumed where the connection broke off, and the lines of downloads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.unsigned import unsigned

log = logging.getLogger(__name__)

RESUMES = 8
"""After so many breaks in a row without progress a download is given up."""


NOTHING_LEFT = 416
"""HTTP status for a range behind the end."""


class _Larger(Unavailable):
    """Asking for the rest would not help."""


def resumed(what: str, size: int, open_from: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """Yield all `size` bytes of a file, named `what` in errors; with a size of 0 (unknown) to the end of the stream.
    `open_from` yields the chunks from a byte on, and raises Unavailable where the connection breaks.

    The log has the words of that error, without what signs a URL in them.
    Raise Unavailable where the file does not arrive whole, however often requested.
    """
    at, without_progress = 0, 0
    while not size or at < size:
        before = at
        try:
            for chunk in open_from(at):
                at += len(chunk)
                if 0 < size < at:
                    raise _Larger(f"download of {what}: more came than the {size} bytes the provider says it has")
                yield chunk
            if not size:
                return
        except _Larger:
            raise
        except Refused as error:
            if not size and at and error.status == NOTHING_LEFT:
                return
            raise
        except Unavailable as error:
            why = unsigned(str(error))
            log.warning("download of %s broke off after %d of %s bytes: %s", what, at, size or "unknown", why)
        without_progress = 0 if at > before else without_progress + 1
        if without_progress > RESUMES:
            raise Unavailable(f"download of {what} stopped {RESUMES} times at {at} of {size or 'unknown'} bytes")


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
