"""Rows of an Avro file behind a signed address, streamed; a broken download is resumed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.resuming import resumed


def rows_at(url: str, size_bytes: int | None, what: str) -> Iterator[dict[str, Any]]:
    """Yield the rows; errors call the file `what`. Raise Unavailable for a file that does not arrive whole."""
    with imported_from("cohere", what):
        import fastavro

    size = size_bytes or _length(url, what)
    stream = io.BufferedReader(_Chunks(resumed(what, size, partial(_from, url))), 1 << 18)
    try:
        yield from fastavro.reader(stream)  # type: ignore[misc]
    except BatchError:
        raise
    except Exception as error:  # fastavro has no error of its own for a file that ends within a block
        raise Unavailable(f"{what} is cut short or broken: {type(error).__name__}: {error}") from error


class _Chunks(io.RawIOBase):
    """A file over a stream of chunks."""

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


def _length(url: str, what: str) -> int:
    import httpx

    try:
        with httpx.stream("GET", url, timeout=60) as response:
            return int(response.raise_for_status().headers["content-length"])
    except (httpx.HTTPError, KeyError) as error:
        raise Unavailable(f"download of {what}: {error!r}") from None


def _from(url: str, at: int) -> Iterator[bytes]:
    """Download without a key: the address is signed."""
    import httpx

    try:
        with httpx.stream("GET", url, headers={"Range": f"bytes={at}-"} if at else {}, timeout=120) as response:
            response.raise_for_status()
            skip = at if response.status_code == httpx.codes.OK else 0
            for chunk in response.iter_raw():
                if keep := chunk[skip:]:
                    yield keep
                skip = max(0, skip - len(chunk))
    except httpx.HTTPError as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from None
