"""/model_groups: names are unique, except between requests that create them at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from sandbox.ml_commons_face import bodies
from sandbox.ml_commons_face.documents import now_ms, visible
from sandbox.ml_commons_face.errors import illegal_argument, status_exception
from sandbox.ml_commons_face.search import search

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.ml_commons_face.documents import Indices
    from sandbox.state import Stored

ACCESS_FIELDS = ("access_mode", "backend_roles", "add_all_backend_roles")


class Groups:
    def __init__(self, indices: Indices) -> None:
        self._groups, self._models = indices.groups, indices.models

    def named(self, name: str) -> Stored | None:
        return next((group for group in self._groups.all() if group.body["name"] == name), None)

    def create(self, name: str, description: str | None) -> Stored:
        now = now_ms()
        body: dict[str, Any] = {"name": name, "latest_version": 0, "access": "public"}
        if description is not None:
            body["description"] = description
        return self._groups.create(body | {"created_time": now, "last_updated_time": now})

    async def register(self, request: Request) -> Response:
        body = await bodies.read(request)
        if not body.get("name"):
            raise illegal_argument("model group name is null")
        if any(body.get(name) is not None for name in ACCESS_FIELDS):
            raise illegal_argument(
                "You cannot specify model access control parameters because the Security plugin or model access "
                "control is disabled on your cluster."
            )
        self._refuse_taken(body["name"])
        group = self.create(body["name"], body.get("description"))
        return JSONResponse({"model_group_id": group.id, "status": "CREATED"})

    async def get(self, request: Request) -> Response:
        return JSONResponse(visible(self._find(request).body))

    async def put(self, request: Request) -> Response:
        change = await bodies.read(request)
        group = self._find(request)
        if "name" in change and change["name"] != group.body["name"]:
            self._refuse_taken(change["name"])
        kept = {key: change[key] for key in ("name", "description") if key in change}
        self._groups.write(group.id, group.body | kept | {"last_updated_time": now_ms()})
        return JSONResponse({"status": "Updated"})

    async def delete(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if any(model.body["model_group_id"] == id_ for model in self._models.all()):
            raise status_exception(409, "Cannot delete the model group when it has associated model versions")
        return JSONResponse(self._groups.delete(id_))

    async def search(self, request: Request) -> Response:
        body = await bodies.read(request, "request body or source parameter is required")
        return JSONResponse(search(self._groups, body))

    def _find(self, request: Request) -> Stored:
        id_ = request.path_params["id"]
        group = self._groups.get(id_)
        if group is None:
            known = f" with the provided model group id: {id_}" if self._groups.exists else ""
            raise status_exception(404, f"Failed to find model group{known}")
        return group

    def _refuse_taken(self, name: str) -> None:
        if taken := self.named(name):
            raise illegal_argument(f"The name you provided is already being used by a model group with ID: {taken.id}.")
