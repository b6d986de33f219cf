"""/v1/batches: the requests it accepts, and the batches it shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox import ids
from sandbox.openai_face import files, jobs
from sandbox.openai_face.answers import ENDPOINTS
from sandbox.openai_face.errors import OpenAIError, missing, no_such_file
from sandbox.openai_face.paging import newest_shown, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.openai_face.worker import Worker

NOT_SERVED_ENDPOINTS = (
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)


class Batches:
    def __init__(self, box: Box, worker: Worker) -> None:
        self._box, self._worker = box, worker

    async def create(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except ValueError:
            raise OpenAIError(400, "We could not parse the JSON body of your request.") from None
        check(body)
        source = self._box.state.get(files.KIND, body["input_file_id"])
        if source is None:
            raise no_such_file(body["input_file_id"], param="input_file_id", status=400)
        if source.body["purpose"] != "batch":
            message = f"Invalid file purpose '{source.body['purpose']}': the input file of a batch has purpose 'batch'."
            raise OpenAIError(400, message, param="input_file_id", code="invalid_value")
        id_ = ids.batch_id()
        stored = self._box.state.put(jobs.KIND, id_, jobs.new(id_, body, self._box.faults.take_for_batch()))
        jobs.note_high_water(self._box)
        self._worker.take(id_)
        return JSONResponse(stored.body["public"])

    async def list(self, request: Request) -> Response:
        horizon = newest_shown(self._box, request)
        stored = self._box.state.all(jobs.KIND)
        seen = [item.body["public"] for item in stored if item.body["work"]["made_at"] <= horizon]
        shown = page(request, seen, default=20, most=100)
        shown["data"] = [jobs.look(self._box, each["id"], counts=False) for each in shown["data"]]
        return JSONResponse(shown)

    async def retrieve(self, request: Request) -> Response:
        return JSONResponse(self._look(request, counts=True))

    async def cancel(self, request: Request) -> Response:
        public = self._look(request, counts=False)
        if public["status"] in jobs.FINAL:
            message = f"Cannot cancel a batch with status '{public['status']}'."
            raise OpenAIError(409, message)
        stored = self._box.state.update(jobs.KIND, public["id"], jobs.request_cancel)
        assert stored is not None
        return JSONResponse(stored.body["public"])

    def _look(self, request: Request, *, counts: bool) -> dict[str, Any]:
        id_ = request.path_params["id"]
        public = jobs.look(self._box, id_, counts=counts)
        if public is None:
            raise OpenAIError(404, f"No batch found with id '{id_}'.")
        return public


def check(body: Any) -> None:
    """Raises OpenAIError for a request that OpenAI would turn down before it makes a batch."""
    if not isinstance(body, dict):
        raise OpenAIError(400, "Invalid type: expected an object.", code="invalid_type")
    for name in ("input_file_id", "endpoint", "completion_window"):
        if body.get(name) is None:
            raise missing(name)
        if not isinstance(body[name], str):
            raise _wrong_type(name, body[name], "a string")
    endpoint = body["endpoint"]
    if endpoint in NOT_SERVED_ENDPOINTS:
        message = f"the sandbox does not answer batches for {endpoint}"
        raise OpenAIError(501, message, param="endpoint", code="not_served_by_the_sandbox")
    if endpoint not in ENDPOINTS:
        known = ", ".join(f"'{name}'" for name in (*ENDPOINTS, *NOT_SERVED_ENDPOINTS))
        message = f"Invalid value: '{endpoint}'. Supported values are: {known}."
        raise OpenAIError(400, message, param="endpoint", code="invalid_value")
    if body["completion_window"] != "24h":
        message = f"Invalid value: '{body['completion_window']}'. Value must be '24h'."
        raise OpenAIError(400, message, param="completion_window", code="invalid_value")
    _check_metadata(body.get("metadata"))
    _check_expiry(body.get("output_expires_after"))


def _check_metadata(metadata: object) -> None:
    """At most 16 pairs, keys to 64 characters, values strings to 512."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise _wrong_type("metadata", metadata, "an object")
    if len(metadata) > 16:
        message = f"Invalid 'metadata': too many properties. Expected at most 16 but got {len(metadata)}."
        raise OpenAIError(400, message, param="metadata", code="object_above_max_properties")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise _wrong_type(f"metadata.{key}", value, "a string")
        if len(key) > 64 or len(value) > 512:
            message = f"Invalid 'metadata.{key}': string too long. Keys have at most 64 characters, values 512."
            raise OpenAIError(400, message, param=f"metadata.{key}", code="string_above_max_length")


def _check_expiry(given: object) -> None:
    if given is None:
        return
    if not isinstance(given, dict) or given.get("anchor") != "created_at":
        raise OpenAIError(400, "Invalid 'output_expires_after': the anchor is 'created_at'.", code="invalid_value")
    seconds = given.get("seconds")
    if not isinstance(seconds, int) or not 3600 <= seconds <= files.BATCH_FILE_SECONDS:
        message = f"Invalid 'output_expires_after.seconds': expected 3600 to {files.BATCH_FILE_SECONDS}."
        raise OpenAIError(400, message, param="output_expires_after.seconds", code="invalid_value")


def _wrong_type(name: str, value: object, wanted: str) -> OpenAIError:
    message = f"Invalid type for '{name}': expected {wanted}, but got {type(value).__name__} instead."
    return OpenAIError(400, message, param=name, code="invalid_type")
