"""S3 by path: https://HOST/aws/BUCKET/KEY. moto answers; the sandbox adds faults and pieces on the way out."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from sandbox.aws_face.buckets import Buckets
    from sandbox.aws_face.caller import Caller
    from sandbox.box import Box

PIECE_BYTES = 256 * 1024
SLOW_PIECES_PER_SECOND = 20
# Of the wire, not of the answer.
LEFT_OUT = ("content-length", "transfer-encoding", "connection", "server", "date")


class S3:
    scopes = ("s3",)

    def __init__(self, box: Box, buckets: Buckets) -> None:
        self._box, self._buckets = box, buckets

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        bucket, _, key = unquote(path.lstrip("/")).partition("/")
        one_key = key or None
        status, headers, content = await asyncio.to_thread(
            self._buckets.respond, _environ(request, caller, path, body), bucket, one_key
        )
        kept = {name: value for name, value in headers.items() if name.lower() not in LEFT_OUT}
        length = headers.get("content-length")
        if request.method == "HEAD" or not content:
            if length is not None:
                kept["content-length"] = length
            return Response(b"", status, kept)
        if request.method != "GET" or status >= 300 or not one_key:
            return Response(content, status, kept)
        cut, slow = self._box.faults.take("cut_download"), self._box.faults.take("slow_download")
        return Outgoing(
            content,
            status,
            kept,
            int(cut.number("after_bytes", 0)) if cut else None,
            slow.number("bytes_per_second", 0) if slow else None,
        )

    def start(self) -> None: ...

    def stop(self) -> None:
        self._buckets.close()

    def ledger(self) -> list[dict[str, Any]]:
        """Storage is not charged."""
        return []


class Outgoing(Response):
    """An object on its way: cut short or slowed down when that was ordered."""

    def __init__(
        self,
        content: bytes,
        status: int,
        headers: dict[str, str],
        stop_after: int | None,
        bytes_per_second: float | None,
    ) -> None:
        super().__init__(content, status, headers)
        self._stop_after, self._bytes_per_second = stop_after, bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = bytes(self.body)
        end = len(content) if self._stop_after is None else min(len(content), self._stop_after)
        piece = PIECE_BYTES
        if self._bytes_per_second:
            piece = max(1, min(piece, int(self._bytes_per_second / SLOW_PIECES_PER_SECOND)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, end, piece):
            data = content[start : min(end, start + piece)]
            await send({"type": "http.response.body", "body": data, "more_body": True})
            if self._bytes_per_second:
                await asyncio.sleep(len(data) / self._bytes_per_second)
        if end < len(content):
            await scope["state"]["hang_up"]()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _environ(request: Request, caller: Caller, path: str, body: bytes) -> dict[str, Any]:
    """PEP 3333. Named localhost, or moto would take a host with a dot for one with the bucket in its name."""
    query = request.url.query
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "RAW_URI": f"{path}?{query}" if query else path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        as_variable = name.upper().replace("-", "_")
        if as_variable == "CONTENT_TYPE":
            environ["CONTENT_TYPE"] = value
        elif as_variable not in ("CONTENT_LENGTH", "HOST", "X_MOTO_ACCOUNT_ID"):
            environ[f"HTTP_{as_variable}"] = value
    environ["HTTP_HOST"] = "localhost"
    return environ
