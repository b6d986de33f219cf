"""/tasks: a read of a batch task asks the provider every time and merges what it says into the document."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.ml_commons_face import bodies, template
from sandbox.ml_commons_face.connector import Connector
from sandbox.ml_commons_face.documents import now_ms, visible
from sandbox.ml_commons_face.errors import (
    NoHandler,
    OpenSearchError,
    batch_inference_is_off,
    illegal_argument,
    status_exception,
)
from sandbox.ml_commons_face.predict import as_job
from sandbox.ml_commons_face.search import search

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.ml_commons_face.documents import Indices
    from sandbox.ml_commons_face.remote import Remote
    from sandbox.ml_commons_face.settings import Settings
    from sandbox.state import Stored

# The default of plugins.ml_commons.remote_job.status_field, and the order in which the status_regex settings are tried:
# the first that is found anywhere in the word decides, a word without any changes nothing, of several fields the last
# one wins.
STATUS_FIELDS = ("status", "Status", "TransformJobStatus")
STATES = ("CANCELLING", "CANCELLED", "COMPLETED", "EXPIRED", "FAILED")
# A write with its refresh: short enough not to be noticed, long enough for looks at the same moment to collide.
WRITE_SECONDS = 0.02
# https://github.com/opensearch-project/ml-commons: MLBatchTaskUpdateProcessor
POLLED = ("RUNNING", "CANCELLING")
MOST_POLLED = 100
VIEW_ORDER = ("model_id", "task_type", "function_name", "state", "input_type", "worker_node")


def state_of(remote_job: dict[str, Any], before: str, settings: Settings) -> str:
    patterns = {name: str(settings.value(f"remote_job.status_regex.{name.lower()}")) for name in STATES}
    state = before
    for field in STATUS_FIELDS:
        word = remote_job.get(field)
        if word is not None:
            found = (name for name in STATES if re.search(patterns[name], str(word), re.IGNORECASE))
            state = next(found, state)
    return state


class Tasks:
    def __init__(self, indices: Indices, remote: Remote, settings: Settings) -> None:
        self._indices, self._tasks, self._remote, self._settings = indices, indices.tasks, remote, settings

    async def get(self, request: Request) -> Response:
        task = self._tasks.get(request.path_params["id"])
        if task is None:
            raise status_exception(404, "Failed to find task")
        if task.body["task_type"] != "BATCH_PREDICTION":
            return JSONResponse(_view(task.body))
        return JSONResponse(_view(await self._look(task)))

    async def poll(self) -> int:
        """A round of the background job: a look at each open task; one that fails leaves no trace. How many."""
        found = [task for task in self._tasks.all() if task.body["task_type"] == "BATCH_PREDICTION"]
        due = [task for task in found if task.body["state"] in POLLED][:MOST_POLLED]
        for task in due:
            with contextlib.suppress(OpenSearchError):
                await self._look(task)
        return len(due)

    async def _look(self, task: Stored) -> dict[str, Any]:
        """The document as the provider's answer makes it, which is written."""
        connector = self._connector(task)
        action = connector.follow_up("BATCH_PREDICT_STATUS")
        parameters = _parameters(connector, task)
        reply = await self._remote.call(connector, action, connector.predict_headers(), parameters)
        remote_job = task.body["remote_job"] | as_job(reply.content)
        shown = task.body | {
            "remote_job": remote_job,
            "state": state_of(remote_job, task.body["state"], self._settings),
        }
        await self._write(task.id, shown | {"last_update_time": now_ms()})
        return shown

    async def cancel(self, request: Request) -> Response:
        """Asks the provider and leaves the document as it is: only the next read sees what came of it."""
        task = self._tasks.get(request.path_params["id"])
        if task is None:
            if self._tasks.exists:
                raise status_exception(404, "Fail to find task")
            raise OpenSearchError(500, "m_l_resource_not_found_exception", "Fail to find task")
        if task.body["task_type"] != "BATCH_PREDICTION":
            raise illegal_argument("The task ID you provided does not have any associated batch job")
        connector = self._connector(task)
        action = connector.follow_up("CANCEL_BATCH_PREDICT")
        reply = await self._remote.call(connector, action, action.headers, _parameters(connector, task))
        if reply.status != 200:
            raise OpenSearchError(500, "exception", "Couldn't cancel the transform job. Please try again")
        return JSONResponse({"status": "OK"})

    async def cancel_batch(self, request: Request) -> Response:
        """The path the documentation prints; it existed in 2.17.0 only."""
        raise NoHandler(request.url.path, request.method)

    async def delete(self, request: Request) -> Response:
        task = self._tasks.get(request.path_params["id"])
        if task is None:
            raise status_exception(404, "Failed to find task")
        if task.body["state"] == "RUNNING":
            reason = "Task cannot be deleted in running state. Try after some time."
            raise OpenSearchError(500, "exception", reason)
        return JSONResponse(self._tasks.delete(task.id))

    async def search(self, request: Request) -> Response:
        body = await bodies.read(request, "request body or source parameter is required")
        return JSONResponse(search(self._tasks, body))

    def _connector(self, task: Stored) -> Connector:
        """With the credential as it is now, whatever was deployed."""
        if not self._settings.is_on("offline_batch_inference_enabled"):
            raise batch_inference_is_off()
        model = self._indices.models.get(task.body["model_id"])
        if model is None:
            raise status_exception(404, "Failed to retrieve the ML model for the given task ID")
        stored = self._indices.connectors.get(model.body["connector_id"])
        if stored is None:
            raise status_exception(404, f"Failed to find connector:{model.body['connector_id']}")
        return Connector.from_body(stored.body)

    async def _write(self, id: str, body: dict[str, Any]) -> None:
        """Refused if somebody else writes at the same moment; how long ago the provider was asked does not matter."""
        read = self._tasks.get(id)
        await asyncio.sleep(WRITE_SECONDS)
        now = self._tasks.get(id)
        if read is None or now is None or now.seq_no == read.seq_no:
            self._tasks.write(id, body)
            return
        reason = (
            f"[{read.id}]: version conflict, required seqNo [{read.seq_no}], primary term [1]. "
            f"current document has seqNo [{now.seq_no}] and primary term [1]"
        )
        detail = {"index": self._tasks.name, "shard": "0", "index_uuid": "sandboxIndexUuidAAAAAA"}
        raise OpenSearchError(409, "version_conflict_engine_exception", reason, detail=detail)


def _parameters(connector: Connector, task: Stored) -> dict[str, str]:
    """Every text on the top level of `remote_job` stands in for the connector's parameter of that name."""
    job = task.body["remote_job"]
    texts = {key: value for key, value in job.items() if isinstance(value, str)}
    if "TransformJobArn" in texts:
        texts.setdefault("TransformJobName", texts["TransformJobArn"].rpartition("/")[2])
    return connector.parameters | template.request_parameters(texts)


def _view(body: dict[str, Any]) -> dict[str, Any]:
    shown = visible(body)
    return {key: shown[key] for key in VIEW_ORDER if key in shown} | shown
