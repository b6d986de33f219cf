"""/models: registering a version of a remote model, deploying it, and taking it away again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.ml_commons_face import bodies, deployment
from sandbox.ml_commons_face.documents import NODE_ID, now_ms, visible
from sandbox.ml_commons_face.errors import OpenSearchError, illegal_argument, not_served, status_exception
from sandbox.ml_commons_face.search import search

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.ml_commons_face.documents import Indices
    from sandbox.ml_commons_face.groups import Groups
    from sandbox.ml_commons_face.settings import Settings
    from sandbox.state import Stored

CHANGEABLE = ("name", "description", "is_enabled", "connector_id")
VIEW_ORDER = ("name", "model_group_id", "algorithm", "model_version", "description", "model_state")
IN_USE = ("DEPLOYED", "DEPLOYING", "PARTIALLY_DEPLOYED")


class Models:
    def __init__(self, box: Box, indices: Indices, groups: Groups, settings: Settings) -> None:
        self._box, self._groups, self._settings = box, groups, settings
        self._index, self._connectors, self._tasks = indices.models, indices.connectors, indices.tasks
        self._group_index = indices.groups

    async def register(self, request: Request) -> Response:
        body = await bodies.read(request)
        self._check(body)
        group = self._group(body)
        version = int(group.body.get("latest_version", 0)) + 1
        self._group_index.update(group.id, lambda kept: kept.update(latest_version=version))
        now = now_ms()
        document: dict[str, Any] = {
            "name": body["name"],
            "model_group_id": group.id,
            "algorithm": "REMOTE",
            "model_version": str(version),
            "model_state": "REGISTERED",
            "created_time": now,
            "last_updated_time": now,
            "is_hidden": False,
            "connector_id": body["connector_id"],
        }
        for name in ("description", "is_enabled"):
            if name in body:
                document[name] = body[name]
        model = self._index.create(document)
        task_id = self._task("REGISTER_MODEL", "COMPLETED", model_id=model.id)
        if request.query_params.get("deploy") == "true":
            deployment.begin(self._index, model.id, self._box.faults, self._settings.is_on(deployment.PRIVATE_IP))
        return JSONResponse({"task_id": task_id, "status": "CREATED", "model_id": model.id})

    async def get(self, request: Request) -> Response:
        model = self.find(request.path_params["id"])
        if model is None:
            if not self._index.exists:
                raise status_exception(404, "Fail to find model")
            reason = f"Failed to find model with the provided model id: {request.path_params['id']}"
            raise status_exception(404, reason)
        body = visible(model.body)
        return JSONResponse({key: body[key] for key in VIEW_ORDER if key in body} | body)

    async def put(self, request: Request) -> Response:
        change = await bodies.read(request)
        if unknown := set(change) - set(CHANGEABLE):
            raise not_served(f"{sorted(unknown)} in an update of a model; it knows {list(CHANGEABLE)}")
        model = self._find_to_change(request)
        if "connector_id" in change and self._connectors.get(change["connector_id"]) is None:
            raise status_exception(404, f"Failed to find connector:{change['connector_id']}")
        written = self._index.write(model.id, model.body | change | {"last_updated_time": now_ms()})
        return JSONResponse(self._index.written(written))

    async def delete(self, request: Request) -> Response:
        model = self._find_to_change(request)
        if model.body["model_state"] in IN_USE:
            reason = "Model cannot be deleted in deploying or deployed state. Try undeploy model first then delete"
            raise status_exception(400, reason)
        return JSONResponse(self._index.delete(model.id))

    async def search(self, request: Request) -> Response:
        body = await bodies.read(request, "request body or source parameter is required")
        deployment.look_at_all(self._index)
        return JSONResponse(search(self._index, body))

    async def deploy(self, request: Request) -> Response:
        """Answers when the nodes have it."""
        model = self._find_to_change(request)
        if deployment.is_kept(model.body):
            self._index.update(model.id, lambda body: body.update(model_state="DEPLOY_FAILED"))
            return self._deployed(model.id, deployment.DUPLICATE)
        deployment.begin(self._index, model.id, self._box.faults, self._settings.is_on(deployment.PRIVATE_IP))
        failed = deployment.complete(self._index, model.id) == "DEPLOY_FAILED"
        return self._deployed(model.id, deployment.FAILED if failed else None)

    async def undeploy(self, request: Request) -> Response:
        model = self._find_to_change(request)
        result = "undeployed" if model.body["model_state"] in IN_USE or "_deploy" in model.body else "not_found"
        self._index.update(model.id, deployment.undeploy)
        return JSONResponse({NODE_ID: {"stats": {model.id: result}}})

    def find(self, id: str) -> Stored | None:
        return deployment.look(self._index, id)

    def _find_to_change(self, request: Request) -> Stored:
        model = self.find(request.path_params["id"])
        if model is None:
            raise status_exception(404, "Failed to find model")
        return model

    def _check(self, body: dict[str, Any]) -> None:
        if not body.get("name"):
            raise illegal_argument("model name is null")
        if str(body.get("function_name", "")).upper() != "REMOTE":
            raise not_served(f"models with function_name {body.get('function_name')!r}, only remote ones")
        if "connector" in body:
            raise not_served("models with a connector of their own: create the connector and name its id")
        if body.get("connector_id") is None:
            raise illegal_argument(
                "You must provide connector content when creating a remote model without connector id!"
            )
        if self._connectors.get(body["connector_id"]) is None:
            raise status_exception(404, f"Failed to find connector:{body['connector_id']}")

    def _group(self, body: dict[str, Any]) -> Stored:
        """The group that is named, or the one called like the model: the same name twice is a second version."""
        id_ = body.get("model_group_id")
        if id_ is None:
            return self._groups.named(body["name"]) or self._groups.create(body["name"], body.get("description"))
        group = self._group_index.get(id_)
        if group is None:
            self._task("REGISTER_MODEL", "FAILED", error="Model group not found")
            reason = f"Model Group Response is empty for {id_}"
            raise OpenSearchError(500, "m_l_resource_not_found_exception", reason)
        return group

    def _deployed(self, model_id: str, error: str | None) -> Response:
        status = "FAILED" if error else "COMPLETED"
        said = {"error": json.dumps({NODE_ID: error}, separators=(",", ":"))} if error else {}
        task_id = self._task("DEPLOY_MODEL", status, model_id=model_id, **said)
        return JSONResponse({"task_id": task_id, "task_type": "DEPLOY_MODEL", "status": status})

    def _task(self, type: str, state: str, **more: str) -> str:
        now = now_ms()
        body = {
            "task_type": type,
            "function_name": "REMOTE",
            "state": state,
            "worker_node": [NODE_ID],
            "create_time": now,
            "last_update_time": now,
            "is_async": False,
        }
        return self._tasks.create(body | more).id
