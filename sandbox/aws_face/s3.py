"""S3 by path: https://HOST/aws/BUCKET/KEY. moto answers; the sandbox adds faults and pieces on the way out."""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.responses import Response

from sandbox.aws_face import late
from sandbox.aws_face.caller import AWSError
from sandbox.odd_answers import REPEATED

if TYPE_CHECKING:
    from typing import BinaryIO

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send
    from werkzeug.datastructures import Headers

    from sandbox.aws_face.buckets import Buckets
    from sandbox.aws_face.caller import Caller
    from sandbox.box import Box

PIECE_BYTES = 256 * 1024
SLOW_PIECES_PER_SECOND = 20
RANGE = re.compile(r"bytes=(?=\d|-\d)(\d*)-(\d*)", re.ASCII)
# Of the wire, not of the answer.
LEFT_OUT = ("content-length", "transfer-encoding", "connection", "server", "date")


class S3:
    scopes = ("s3",)

    def __init__(self, box: Box, buckets: Buckets) -> None:
        self._box, self._buckets = box, buckets

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        bucket, _, key = unquote(path.lstrip("/")).partition("/")
        environ = _environ(request, path, body)
        if request.query_params.get("continuation-token", "").startswith(REPEATED):
            raise AWSError(400, "InvalidArgument", "The continuation token provided is incorrect")
        if request.method in ("GET", "HEAD"):
            prefix = None if key else request.query_params.get("prefix", "")
            await asyncio.to_thread(late.asked_for, self._box, self._buckets, bucket, key, prefix)
        if request.method == "GET" and key and _is_plain(request):
            response = await asyncio.to_thread(self._download, request, environ, bucket, key)
            if response is not None:
                return response
        status, headers, content = await asyncio.to_thread(self._buckets.respond, environ, bucket, key or None)
        kept = _kept(headers)
        if request.method == "HEAD" and "content-length" in headers:
            kept["content-length"] = headers["content-length"]
        return Response(content, status, kept)

    def _download(self, request: Request, environ: dict[str, Any], bucket: str, key: str) -> Response | None:
        """From the file, as moto would read all of it for each part of it; None if moto has something else to say."""
        whole = {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
        _, headers, file = self._buckets.look(whole, bucket, key)
        if file is None:
            return None
        size = file.seek(0, io.SEEK_END)
        kept, status, first, length = _kept(headers), 200, 0, size
        if asked := RANGE.fullmatch(request.headers.get("range", "")):
            first, length = _span(asked[1], asked[2], size)
            if length <= 0:
                file.close()
                raise AWSError(416, "InvalidRange", "The requested range is not satisfiable")
            status = 206
            kept = {name: value for name, value in kept.items() if not name.lower().startswith("x-amz-checksum-")}
            kept["content-range"] = f"bytes {first}-{first + length - 1}/{size}"
        kept["content-length"] = str(length)
        file.seek(first)
        cut, slow = self._box.faults.take("cut_download"), self._box.faults.take("slow_download")
        stop_after = int(cut.number("after_bytes", 0)) if cut else None
        speed = slow.number("bytes_per_second", 0) if slow else None
        return Outgoing(file, length, status, kept, stop_after, speed)

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
        file: BinaryIO,
        length: int,
        status: int,
        headers: dict[str, str],
        stop_after: int | None,
        bytes_per_second: float | None,
    ) -> None:
        super().__init__(None, status, headers)
        self._file, self._length = file, length
        self._stop_after, self._bytes_per_second = stop_after, bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._length if self._stop_after is None else min(self._length, self._stop_after)
        is_cut = left < self._length
        piece = PIECE_BYTES
        if self._bytes_per_second:
            piece = max(1, min(piece, int(self._bytes_per_second / SLOW_PIECES_PER_SECOND)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with self._file:
            while left > 0:
                data = await asyncio.to_thread(self._file.read, min(piece, left))
                left -= len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
                if self._bytes_per_second:
                    await asyncio.sleep(len(data) / self._bytes_per_second)
        if is_cut:
            await scope["state"]["hang_up"]()
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_plain(request: Request) -> bool:
    """Nothing asked beyond the object: no version, part, tags or headers of one's own for the answer."""
    return all(name == "x-id" or name.startswith("X-Amz-") for name in request.query_params)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """Where a range begins and how long it is, by https://www.rfc-editor.org/rfc/rfc9110#name-byte-ranges."""
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    end = min(int(last) if last else size - 1, size - 1)
    return start, end - start + 1


def _kept(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in LEFT_OUT}


def _environ(request: Request, path: str, body: bytes) -> dict[str, Any]:
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
