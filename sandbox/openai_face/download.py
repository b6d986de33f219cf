"""A file on its way out: piece by piece with its length promised, cut short or slowed down when that was ordered."""

from __future__ import annotations

import asyncio
import gzip
import io
from typing import IO, TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

PIECE_BYTES = 256 * 1024
SLOW_PIECES_PER_SECOND = 20


def takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


class Download(Response):
    """`size`: so many first bytes of the file are all there is."""

    def __init__(
        self,
        path: Path,
        stop_after: int | None = None,
        bytes_per_second: float | None = None,
        *,
        size: int | None = None,
        compressed: bool = False,
    ) -> None:
        super().__init__(media_type="application/octet-stream")
        self._path, self._stop_after, self._bytes_per_second = path, stop_after, bytes_per_second
        self._size, self._compressed = size, compressed
        if compressed:
            self.headers["content-encoding"] = "gzip"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, source = self._opened()
        left = size if self._stop_after is None else min(size, self._stop_after)
        self.headers["content-length"] = str(size)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        piece = PIECE_BYTES
        if self._bytes_per_second:
            piece = max(1, min(piece, int(self._bytes_per_second / SLOW_PIECES_PER_SECOND)))
        with source as file:
            while left > 0:
                data = await asyncio.to_thread(file.read, min(piece, left))
                left -= len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
                if self._bytes_per_second:
                    await asyncio.sleep(len(data) / self._bytes_per_second)
        if self._stop_after is not None and self._stop_after < size:
            await scope["state"]["hang_up"]()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _opened(self) -> tuple[int, IO[bytes]]:
        """How much goes out, and where it comes from."""
        size = self._path.stat().st_size if self._size is None else self._size
        if not self._compressed:
            return size, self._path.open("rb")
        with self._path.open("rb") as file:
            packed = gzip.compress(file.read(size))
        return len(packed), io.BytesIO(packed)
