"""Downloads that are taken up again where they broke off, and their lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from opensearch_batch.errors import Refused, Unavailable

log = logging.getLogger(__name__)

RESUMES = 8
"""A download may break off this many times in a row without progress before it is given up."""


NOTHING_LEFT = 416
"""HTTP status for the rest of what has no rest."""


class _Larger(Unavailable):
    """Asking for the rest would not help."""


def resumed(what: str, size: int, open_from: Callable[[int], Iterator[bytes]]) -> Iterator[bytes]:
    """All bytes of `what`: `size`, or where the provider does not say (0) to the end of the stream. `open_from` gives
    what comes from a byte on, and raises Unavailable where it breaks.

    Raise Unavailable when it does not come whole, however often it is asked.
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
            log.warning("download of %s broke off after %d of %s bytes: %s", what, at, size or "unknown", error)
        without_progress = 0 if at > before else without_progress + 1
        if without_progress > RESUMES:
            raise Unavailable(f"download of {what} stopped {RESUMES} times at {at} of {size or 'unknown'} bytes")


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
