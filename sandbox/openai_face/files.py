"""/v1/files: uploads and downloads go through the disk in pieces, never through memory."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from typing import IO, TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse

from sandbox import ids
from sandbox.openai_face.download import Download, takes_gzip
from sandbox.openai_face.errors import OpenAIError, missing, no_such_file
from sandbox.openai_face.paging import newest_shown, page

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.state import State

KIND = "file"
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
MAX_BYTES = 512 * 1024 * 1024
# Batch input and output files go after 30 days unless told otherwise; https://platform.openai.com/docs/guides/batch
BATCH_FILE_SECONDS = 30 * 24 * 3600
PIECE_BYTES = 256 * 1024


def public(body: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in body.items() if key not in ("lines", "made_at", "trouble")}
    short = body["trouble"].get("short")
    return shown | ({"bytes": short["bytes"]} if short and short["reads"] else {})


def register(
    state: State,
    id: str,
    filename: str,
    purpose: str,
    lines: int,
    expires_at: int | None,
    trouble: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make bytes that lie in the files folder under this id a file of the API.

    `trouble`, each for so many `reads` (-1: for ever): `refused` with a status, `short` of its last bytes.
    """
    now = time.time()
    body = {
        "id": id,
        "object": "file",
        "bytes": (state.files / id).stat().st_size,
        "created_at": int(now),
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": expires_at,
        "lines": lines,
        "made_at": now,
        "trouble": trouble or {},
    }
    state.put(KIND, id, body)
    return body


class Files:
    def __init__(self, box: Box) -> None:
        self._box = box

    async def create(self, request: Request) -> Response:
        async with request.form(max_files=1, max_fields=10) as form:
            upload, purpose = form.get("file"), form.get("purpose")
            if not isinstance(upload, UploadFile):
                raise missing("file")
            if not isinstance(purpose, str) or not purpose:
                raise missing("purpose")
            if purpose not in PURPOSES:
                message = f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'"
                raise OpenAIError(400, message, param="purpose", code="invalid_value")
            if (upload.size or 0) > MAX_BYTES:
                raise OpenAIError(413, f"File is too large: {upload.size} bytes, the limit is {MAX_BYTES}.")
            id_ = ids.file_id()
            partial = self._box.state.work / f"{id_}.upload"
            lines = await asyncio.to_thread(keep, upload.file, partial)
            os.replace(partial, self._box.state.files / id_)
            expires_at = _expiry(form.get("expires_after[seconds]"), purpose)
            body = register(self._box.state, id_, upload.filename or "upload", purpose, lines, expires_at)
        return JSONResponse(public(body))

    async def list(self, request: Request) -> Response:
        horizon = newest_shown(self._box, request)
        purpose = request.query_params.get("purpose")
        bodies = [stored.body for stored in self._box.state.all(KIND)]
        shown = [body for body in bodies if body["made_at"] <= horizon and purpose in (None, body["purpose"])]
        return JSONResponse(page(request, [public(body) for body in shown], default=10_000, most=10_000))

    async def retrieve(self, request: Request) -> Response:
        return JSONResponse(public(self._readable(request)))

    async def delete(self, request: Request) -> Response:
        id_ = self._find(request)["id"]
        self._box.state.delete(KIND, id_)
        (self._box.state.files / id_).unlink(missing_ok=True)
        return JSONResponse({"id": id_, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        body = self._readable(request)
        short = self._due(body, "short")
        path = self._box.state.files / body["id"]
        faults, call = self._box.faults, (request.method, request.url.path)
        cut, slow = faults.take("cut_download", *call), faults.take("slow_download", *call)
        return Download(
            path,
            stop_after=int(cut.number("after_bytes", 0)) if cut else None,
            bytes_per_second=slow.number("bytes_per_second", 0) if slow else None,
            size=short["bytes"] if short else None,
            compressed=takes_gzip(request) and faults.take("gzip_download", *call) is not None,
        )

    def _readable(self, request: Request) -> dict[str, Any]:
        body = self._find(request)
        if refused := self._due(body, "refused"):
            if refused["status"] == 404:
                raise no_such_file(body["id"])
            raise OpenAIError(refused["status"], f"You may not read the file {body['id']}.", code="forbidden")
        return body

    def _due(self, body: dict[str, Any], name: str) -> dict[str, Any] | None:
        """The trouble of this name, as long as it lasts; it has happened once more."""
        trouble: dict[str, Any] | None = body["trouble"].get(name)
        if not trouble or not trouble["reads"]:
            return None

        def once_more(stored: dict[str, Any]) -> None:
            if stored["trouble"][name]["reads"] > 0:
                stored["trouble"][name]["reads"] -= 1

        self._box.state.update(KIND, body["id"], once_more)
        return trouble

    def _find(self, request: Request) -> dict[str, Any]:
        id_ = request.path_params["id"]
        stored = self._box.state.get(KIND, id_)
        if stored is None:
            raise no_such_file(id_)
        return stored.body


def keep(source: IO[bytes], target: Path) -> int:
    """Copy, and count the lines on the way."""
    source.seek(0)
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, PIECE_BYTES)
    return count_lines(target)


def count_lines(path: Path) -> int:
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            lines += piece.count(b"\n")
            last = piece[-1:]
    return lines + (last != b"\n")


def bytes_without(path: Path, lines: int) -> int:
    """How long it would be without its last lines."""
    kept = max(0, count_lines(path) - lines)
    with path.open("rb") as file:
        return sum(map(len, itertools.islice(file, kept)))


def _expiry(seconds: object, purpose: str) -> int | None:
    if seconds is None:
        return int(time.time()) + BATCH_FILE_SECONDS if purpose == "batch" else None
    text = str(seconds)
    if not text.isdigit() or not 3600 <= int(text) <= BATCH_FILE_SECONDS:
        message = f"Invalid 'expires_after.seconds': expected a value between 3600 and {BATCH_FILE_SECONDS}."
        raise OpenAIError(400, message, param="expires_after.seconds", code="invalid_value")
    return int(time.time()) + int(text)
