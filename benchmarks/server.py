"""A file server on loopback with the paths of OpenAI's Files API.

Files of a folder can be downloaded. Uploads are counted, hashed and dropped, unless the folder has a file named
keep-uploads. The server runs in a process of its own, so that no side is charged for its CPU.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import ROOT, environment

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

KEY = "sk-benchmark-not-a-secret"
UPLOADS, KEEP_UPLOADS = "uploads", "keep-uploads"
"""A file of the second name in the folder has uploads kept in the first."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Yield the base URL, /v1 included."""
    started = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(str(folder)), cwd=ROOT,
    )  # fmt: skip
    with started as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the file server ended with {process.wait()} before it was ready")
        yield f"http://127.0.0.1:{port}/v1"


def application(folder: Path) -> Starlette:
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, JSONResponse
    from starlette.routing import Route

    FileResponse.chunk_size = 1 << 20

    def about(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse(_file(name, (folder / name).stat().st_size))

    def content(request: Request) -> Response:
        return FileResponse(folder / request.path_params["name"], media_type="application/octet-stream")

    async def upload(request: Request) -> Response:
        size, digest = await _read(request, folder if (folder / KEEP_UPLOADS).exists() else None)
        return JSONResponse(_file(f"file-{digest}", size))

    def job(request: Request) -> Response:
        """A batch that has ended, named after its output file."""
        return JSONResponse(_job(request.path_params.get("name", "batch")))

    return Starlette(
        routes=[
            Route("/v1/files", upload, methods=["POST"]),
            Route("/v1/batches", job, methods=["POST"]),
            Route("/v1/batches/{name}", job),
            Route("/v1/files/{name}", about),
            Route("/v1/files/{name}/content", content),
        ]
    )


def _file(name: str, size: int) -> dict[str, Any]:
    fixed = {"object": "file", "purpose": "batch", "status": "processed", "created_at": 0}
    return {"id": name, "filename": name, "bytes": size, **fixed}


def _job(name: str) -> dict[str, Any]:
    fixed = {"object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h", "created_at": 0}
    return {"id": name, "status": "completed", "input_file_id": "file-1", "output_file_id": name, **fixed}


async def _read(request: Request, keep_in: Path | None) -> tuple[int, str]:
    """Size and sha256 of the form's one file, which goes to the folder's uploads, or away."""
    from python_multipart.multipart import MultipartParser, parse_options_header

    size, digest, in_file = 0, hashlib.sha256(), False

    def begin() -> None:
        nonlocal in_file
        in_file = False

    def header(data: bytes, start: int, end: int) -> None:
        nonlocal in_file
        in_file = in_file or b"filename=" in data[start:end]

    def part(data: bytes, start: int, end: int) -> None:
        nonlocal size
        if in_file:
            size += end - start
            digest.update(memoryview(data)[start:end])
            if kept:
                kept.write(memoryview(data)[start:end])

    if keep_in:
        (keep_in / UPLOADS).mkdir(exist_ok=True)
    kept = (keep_in / UPLOADS / "arriving").open("wb") if keep_in else None
    boundary = parse_options_header(request.headers["content-type"])[1][b"boundary"]
    parser = MultipartParser(boundary, {"on_part_begin": begin, "on_header_value": header, "on_part_data": part})
    async for chunk in request.stream():
        parser.write(chunk)
    parser.finalize()
    if keep_in and kept:
        kept.close()
        (keep_in / UPLOADS / "arriving").rename(keep_in / UPLOADS / f"file-{digest.hexdigest()}")
    return size, digest.hexdigest()


def main(folder: Path) -> None:
    """Print the port; end when standard input does, so that no server outlives who started it."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0), backlog=16)
    server = uvicorn.Server(uvicorn.Config(application(folder), log_level="warning"))

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
