"""Rows of an Avro file behind a signed address, as they come; a download that breaks off is taken up again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.resuming import resumed


def rows_at(url: str, size_bytes: int, what: str) -> Iterator[dict[str, Any]]:
    """`what` names the file in errors; `size_bytes` is 0 where the vendor does not say. Raise Unavailable for a file
    that does not come whole.
    """
    with imported_from("cohere", what):
        import fastavro

    stream = io.BufferedReader(_Chunks(resumed(what, size_bytes, partial(_from, url))), 1 << 18)
    try:
        yield from fastavro.reader(stream)  # type: ignore[misc]
    except BatchError:
        raise
    except Exception as error:  # fastavro has no error of its own for a file that ends within a block
        raise Unavailable(f"{what} is cut short or broken: {type(error).__name__}: {error}") from error


class _Chunks(io.RawIOBase):
    """A file over chunks as they come."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _from(url: str, at: int) -> Iterator[bytes]:
    """The address is signed: no key goes with it."""
    import httpx

    try:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
        with httpx.stream("GET", url, headers=headers, timeout=120) as response:
            response.raise_for_status()
            skip = at if response.status_code == httpx.codes.OK else 0
            for chunk in response.iter_bytes():
                if keep := chunk[skip:]:
                    yield keep
                skip = max(0, skip - len(chunk))
    except httpx.HTTPError as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from None
