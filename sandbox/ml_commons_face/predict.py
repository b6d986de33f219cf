"""`_predict` and `_batch_predict`: run the model's connector; once a batch job was accepted, write its task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.ml_commons_face import bodies, deployment, process_functions, template
from sandbox.ml_commons_face.connector import Connector
from sandbox.ml_commons_face.documents import NODE_ID, now_ms
from sandbox.ml_commons_face.errors import (
    OpenSearchError,
    batch_inference_is_off,
    illegal_argument,
    no_index,
    not_served,
    status_exception,
)
from sandbox.ml_commons_face.search import longest_leaf

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.ml_commons_face.documents import Indices
    from sandbox.ml_commons_face.models import Models
    from sandbox.ml_commons_face.remote import Remote
    from sandbox.ml_commons_face.settings import Settings
    from sandbox.state import Stored

# The limit on running tasks is counted with a search that brings back ten at most: a higher one is never reached.
MOST_COUNTED = 10
MAX_TERM_BYTES = 32_766


class Predict:
    def __init__(self, box: Box, indices: Indices, models: Models, remote: Remote, settings: Settings) -> None:
        self._box, self._indices, self._models, self._remote = box, indices, models, remote
        self._settings = settings

    async def predict(self, request: Request) -> Response:
        return await self._run(request, "PREDICT")

    async def batch_predict(self, request: Request) -> Response:
        return await self._run(request, "BATCH_PREDICT")

    async def _run(self, request: Request, action_type: str) -> Response:
        body = await self._body(request)
        action_type = str(body.get("action_type", action_type)).upper()
        if action_type not in ("PREDICT", "BATCH_PREDICT"):
            raise not_served(f"the action {action_type} on a model")
        model = self._ready_model(request.path_params["id"], body)
        stored = self._indices.connectors.get(model.body["connector_id"])
        if stored is None:
            raise status_exception(404, f"Failed to find connector:{model.body['connector_id']}")
        connector = Connector.from_body(stored.body)
        if action_type == "BATCH_PREDICT":
            self._check_limit()
            return await self._submit(model, connector, body)
        return await self._infer(model, connector, body)

    async def _submit(self, model: Stored, connector: Connector, body: dict[str, Any]) -> Response:
        action = connector.action("BATCH_PREDICT")
        if action.pre_process_function or action.post_process_function not in (None, process_functions.BATCH_JOB_ARN):
            raise not_served("pre- and post-process functions of batch actions but for Bedrock's job ARN")
        parameters, allowed = _parameters(connector, body), self._private_ip_enabled(model)
        reply = await self._remote.call(
            connector, action, connector.predict_headers(), parameters, private_ip_enabled=allowed
        )
        content = process_functions.with_job_arn(reply.content) if action.post_process_function else reply.content
        remote_job = as_job(content) | {"dlq": None}
        self._check_indexable(remote_job)
        now = now_ms()
        task = self._indices.tasks.create(
            {
                "model_id": model.id,
                "task_type": "BATCH_PREDICTION",
                "function_name": "REMOTE",
                "state": "RUNNING",
                "input_type": "REMOTE",
                "worker_node": [NODE_ID],
                "create_time": now,
                "last_update_time": now,
                "is_async": False,
                "remote_job": remote_job,
            }
        )
        return JSONResponse({"task_id": task.id, "status": "CREATED", "remote_job": remote_job})

    async def _infer(self, model: Stored, connector: Connector, body: dict[str, Any]) -> Response:
        action = connector.action("PREDICT")
        parameters = _parameters(connector, body)
        if "text_docs" in body:
            parameters |= process_functions.before(action.pre_process_function, body["text_docs"], parameters)
        reply = await self._remote.call(
            connector, action, action.headers, parameters, private_ip_enabled=self._private_ip_enabled(model)
        )
        output = process_functions.after(action.post_process_function, reply.content)
        return JSONResponse({"inference_results": [{"output": output, "status_code": reply.status}]})

    async def _body(self, request: Request) -> dict[str, Any]:
        raw = await request.body()
        try:
            return await bodies.read(request)
        except OpenSearchError as error:
            if error.type == "json_parse_exception" and raw and not self._box.is_3x:
                reason = (
                    'Cannot invoke "org.opensearch.ml.common.input.MLInput.setAlgorithm('
                    'org.opensearch.ml.common.FunctionName)" because "mlInput" is null'
                )
                raise OpenSearchError(500, "null_pointer_exception", reason) from None
            raise

    def _ready_model(self, id: str, body: dict[str, Any]) -> Stored:
        models = self._indices.models
        if not models.exists:
            raise no_index(404, f"Failed to get data object from index {models.name}", models.name)
        model = self._models.find(id)
        if model is None:
            raise status_exception(404, "Failed to find model")
        dlq = body.get("dlq")
        if dlq is not None:
            if not isinstance(dlq, dict) or not dlq.get("bucket") or not dlq.get("region"):
                raise status_exception(403, f"Failed to Validate Access for ModelId {id}")
            raise not_served("dead letter queues")
        if model.body.get("is_enabled") is False:
            raise status_exception(403, "Model is disabled.")
        if model.body["model_state"] in deployment.NOT_DEPLOYED and "_deploy" not in model.body:
            if not self._settings.is_on("model_auto_deploy.enable"):
                raise illegal_argument("Model not ready yet. Please deploy the model first.")
            deployment.begin(models, id, self._box.faults, self._settings.is_on(deployment.PRIVATE_IP))
            # 2.x answers when the node has it, 3.x when it is on its way.
            (deployment.hurry if self._box.is_3x else deployment.complete)(models, id)
        return model

    def _private_ip_enabled(self, model: Stored) -> bool:
        """3.x goes by the setting as it was when the model was deployed, 2.x as it is."""
        if self._box.is_3x and "_deploy" not in model.body:
            return bool(model.body.get("_private_ip_enabled"))
        return self._settings.is_on(deployment.PRIVATE_IP)

    def _check_limit(self) -> None:
        if not self._settings.is_on("offline_batch_inference_enabled"):
            raise batch_inference_is_off()
        most = int(self._settings.value("max_batch_inference_tasks"))
        tasks = [task.body for task in self._indices.tasks.all()]
        running = [task for task in tasks if task["task_type"] == "BATCH_PREDICTION" and task["state"] == "RUNNING"]
        if min(len(running), MOST_COUNTED) >= most:
            raise status_exception(
                429,
                "Exceeded maximum limit for BATCH_PREDICTION tasks. To increase the limit, update the "
                "plugins.ml_commons.max_batch_inference_tasks setting.",
            )

    def _check_indexable(self, remote_job: dict[str, Any]) -> None:
        """A job that was accepted and billed, and whose task cannot be written: nothing calls it back."""
        longest = longest_leaf(remote_job)
        if len(longest) <= MAX_TERM_BYTES:
            return
        too_long = f"bytes can be at most {MAX_TERM_BYTES} in length; got {len(longest)}"
        immense = (
            'Document contains at least one immense term in field="remote_job._value" (whose UTF8 encoding is '
            f"longer than the max length {MAX_TERM_BYTES}), all of which were skipped.  Please correct the analyzer to "
            f"not produce such terms.  The prefix of the first immense term is: '{list(longest[:30])}...', original "
            f"message: {too_long}"
        )
        causes = (("illegal_argument_exception", immense), ("max_bytes_length_exceeded_exception", too_long))
        reason = f"Failed to put data object in index {self._indices.tasks.name}"
        raise OpenSearchError(500, "status_exception", reason, cause=causes)


def as_job(content: Any) -> dict[str, Any]:
    """What the provider said, as an object: anything else goes under `response`."""
    return content if isinstance(content, dict) else {"response": content}


def _parameters(connector: Connector, body: dict[str, Any]) -> dict[str, str]:
    """The connector's own values go in raw; the request's are escaped and win."""
    given = body.get("parameters") or {}
    if not isinstance(given, dict):
        raise illegal_argument(f"parameters must be an object, not {json.dumps(given)}")
    return connector.parameters | template.request_parameters(given)
