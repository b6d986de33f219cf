"""/v1/datasets: what is uploaded is validated row by row, and kept as Avro parts.

https://docs.cohere.com/reference/create-dataset. The words of a failed validation are made up: none are published.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse

from sandbox.cohere_face import parts
from sandbox.cohere_face.errors import CohereError
from sandbox.openai_face.download import Download, takes_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box

KIND = "cohere_dataset"
INPUT, RESULT = "embed-input", "embed-result"
NAMED = 10
"""So many wrong rows a failed validation names."""
WAY = ("queued", "processing")
PARTS = "/cohere-parts"
"""Where they are downloaded from, without a key, as from a signed address."""


class Malformed(Exception):
    """Why a dataset is not valid; its text is what the API shows."""


class Datasets:
    def __init__(self, box: Box) -> None:
        self._box = box

    async def create(self, request: Request) -> Response:
        query = request.query_params
        name, kind = query.get("name"), query.get("type")
        if not name:
            raise CohereError(400, "name is required")
        if kind != INPUT:
            raise CohereError(400, f"invalid dataset type {kind!r}: the sandbox serves {INPUT}")
        if unserved := {"skip_malformed_input", "optional_fields", "csv_delimiter", "text_separator"} & set(query):
            raise CohereError(501, f"the sandbox does not serve {', '.join(sorted(unserved))} of a dataset")
        kept = [field for field in query.getlist("keep_fields") if field]
        async with request.form(max_files=1) as form:
            upload = form.get("data")
            if not isinstance(upload, UploadFile):
                raise CohereError(400, "data is required")
            id_ = f"{name.lower()[:60]}-{uuid4().hex[:6]}"
            body = await asyncio.to_thread(self._made, id_, name, upload.file, kept)
        self._box.state.put(KIND, id_, body)
        return JSONResponse({"id": id_})

    def _made(self, id: str, name: str, source: IO[bytes], kept: list[str]) -> dict[str, Any]:
        source.seek(0)
        body = document(id, name, INPUT, kept)
        try:
            schema, made = parts.write(self._box.state.files, id, _rows(source, kept), kept, embedded=False)
        except Malformed as error:
            return body | {"outcome": "failed", "error": str(error)}
        return body | {"outcome": "validated", "schema": schema, "parts": made}

    async def list(self, request: Request) -> Response:
        query = request.query_params
        lag = self._box.faults.take("list_lag", request.method, request.url.path)
        horizon = time.time() - lag.number("seconds", 0) if lag else float("inf")
        stored = [each.body for each in self._box.state.all(KIND) if each.body["made_at"] <= horizon]
        wanted = query.get("datasetType")
        found = [body for body in reversed(stored) if wanted in (None, body["type"])]
        if status := query.get("validationStatus"):
            found = [body for body in found if self._status(body) == status]
        at, limit = int(float(query.get("offset", 0))), int(float(query.get("limit", 50)))
        return JSONResponse({"datasets": [self._public(request, body) for body in found[at : at + limit]]})

    async def usage(self, request: Request) -> Response:
        stored = [part["size_bytes"] for each in self._box.state.all(KIND) for part in each.body["parts"]]
        return JSONResponse({"organization_usage": sum(stored)})

    async def get(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        self._box.state.update(KIND, id_, lambda body: body.update(reads=body["reads"] + 1))
        body = self.find(id_)
        if (refused := body["trouble"].get("refused")) and _lasts(refused, body["reads"]):
            said = f"dataset with id {id_} not found" if refused["status"] == 404 else "you may not read this dataset"
            raise CohereError(refused["status"], said)
        return JSONResponse({"dataset": self._public(request, body)})

    async def delete(self, request: Request) -> Response:
        body = self.find(request.path_params["id"])
        self._box.state.delete(KIND, body["id"])
        for part in body["parts"]:
            (self._box.state.files / part["file"]).unlink(missing_ok=True)
        return JSONResponse({})

    async def part(self, request: Request) -> Response:
        """One part; `cut_download` and `slow_download` are for it."""
        body = self.find(request.path_params["id"])
        index = int(request.path_params["index"])
        parts = _parts(body)
        if index >= len(parts):
            raise CohereError(404, f"dataset {body['id']} has no part {index}")
        faults, call = self._box.faults, (request.method, request.url.path)
        cut, slow = faults.take("cut_download", *call), faults.take("slow_download", *call)
        return Download(
            self._box.state.files / parts[index]["file"],
            stop_after=int(cut.number("after_bytes", 0)) if cut else None,
            bytes_per_second=slow.number("bytes_per_second", 0) if slow else None,
            compressed=takes_gzip(request) and faults.take("gzip_download", *call) is not None,
        )

    def find(self, id: str) -> dict[str, Any]:
        stored = self._box.state.get(KIND, id)
        if stored is None:
            raise CohereError(404, f"dataset with id {id} not found")
        return stored.body

    def is_validated(self, body: dict[str, Any]) -> bool:
        return self._status(body) == "validated"

    def _status(self, body: dict[str, Any]) -> str:
        steps = self._box.pace.steps(body["reads"], time.time() - body["made_at"], len(WAY))
        return [*WAY, str(body["outcome"])][steps]

    def _public(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        status = self._status(body)
        shown = _parts(body) if status == "validated" else []
        base = f"{request.url.scheme}://{request.url.netloc}{PARTS}/{body['id']}"
        return {
            "id": body["id"],
            "name": body["name"],
            "created_at": body["created_at"],
            "updated_at": body["created_at"],
            "dataset_type": body["type"],
            "validation_status": status,
            "validation_error": body["error"] if status == "failed" else None,
            "validation_warnings": [],
            "schema": body["schema"] if status == "validated" else None,
            "required_fields": ["text"],
            "preserve_fields": body["kept"],
            "dataset_parts": [
                {
                    "id": f"{body['id']}-{index}",
                    "name": part["file"],
                    "url": f"{base}/{index}",
                    "index": index,
                    "size_bytes": part["size_bytes"],
                    "num_rows": part["num_rows"],
                }
                for index, part in enumerate(shown)
            ],
        }


def _parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that it has by now."""
    early = body["trouble"].get("short")
    found: list[dict[str, Any]] = early["parts"] if early and _lasts(early, body["reads"]) else body["parts"]
    return found


def _lasts(trouble: dict[str, Any], reads: int) -> bool:
    return bool(trouble["reads"] < 0 or reads <= trouble["reads"])


def document(id: str, name: str, kind: str, kept: list[str]) -> dict[str, Any]:
    """`trouble`, each for so many `reads` (-1: for ever): `refused` with a status, `short` of its last rows."""
    return {
        "id": id,
        "name": name,
        "type": kind,
        "kept": kept,
        "created_at": datetime.now(UTC).isoformat(),
        "made_at": time.time(),
        "reads": 0,
        "outcome": "validated",
        "error": None,
        "schema": None,
        "parts": [],
        "trouble": {},
    }


def _rows(source: IO[bytes], kept: list[str]) -> Iterator[dict[str, Any]]:
    """Every row with what is kept of it. Raise Malformed, with the first wrong rows, at the end."""
    wrong: list[str] = []
    count = 0
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        row, why = _row(line, kept)
        if why:
            count += 1
            wrong += [f"line {number}: {why}"] if len(wrong) < NAMED else []
        elif not wrong:
            yield row
    if wrong:
        raise Malformed(f"{count} invalid rows: {'; '.join(wrong)}")


def _row(line: bytes, kept: list[str]) -> tuple[dict[str, Any], str]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}, "not JSON"
    if not isinstance(said, dict) or not isinstance(said.get("text"), str):
        return {}, "the field 'text' is missing or not a string"
    if not said["text"].strip():
        return {}, "the field 'text' is empty"
    if missing := [name for name in kept if name not in said]:
        return {}, f"the field {missing[0]!r} is missing"
    return {"text": said["text"], **{name: said[name] for name in kept}}, ""
