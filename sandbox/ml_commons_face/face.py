"""The routes of the cluster: / and /_plugins/_ml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.ml_commons_face.connectors import Connectors
from sandbox.ml_commons_face.documents import indices
from sandbox.ml_commons_face.errors import NoHandler, illegal_argument
from sandbox.ml_commons_face.groups import Groups
from sandbox.ml_commons_face.models import Models
from sandbox.ml_commons_face.predict import Predict
from sandbox.ml_commons_face.remote import Remote
from sandbox.ml_commons_face.settings import Settings
from sandbox.ml_commons_face.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box

ML = "/_plugins/_ml"
VERSIONS = {
    "2.19.6": ("9.12.3", "7.10.0", "7.0.0"),
    "3.6.0": ("10.4.0", "2.19.0", "2.0.0"),
}
NUMBERS = {"3.7": "3.7.0"}


class MLCommonsFace:
    def __init__(self, box: Box) -> None:
        self._box = box
        held = indices(box.state, is_3x=box.is_3x)
        self._settings = Settings(box)
        self._remote = Remote(box)
        self._groups = Groups(held)
        self._connectors = Connectors(box, held, self._settings)
        self._models = Models(box, held, self._groups, self._settings)
        self._predict = Predict(box, held, self._models, self._remote, self._settings)
        self._tasks = Tasks(held, self._remote, self._settings)

    async def close(self) -> None:
        await self._remote.close()

    async def poll(self) -> int:
        return await self._tasks.poll()

    def routes(self) -> list[Route]:
        connectors, groups, models, tasks = self._connectors, self._groups, self._models, self._tasks
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET POST", "/connectors/_search", connectors.search),
            ("POST", "/connectors/_create", connectors.create),
            ("GET", "/connectors/{id}", connectors.get),
            ("PUT", "/connectors/{id}", connectors.put),
            ("DELETE", "/connectors/{id}", connectors.delete),
            ("GET POST", "/model_groups/_search", groups.search),
            ("POST", "/model_groups/_register", groups.register),
            ("GET", "/model_groups/{id}", groups.get),
            ("PUT", "/model_groups/{id}", groups.put),
            ("DELETE", "/model_groups/{id}", groups.delete),
            ("GET POST", "/models/_search", models.search),
            ("POST", "/models/_register", models.register),
            ("GET", "/models/{id}", models.get),
            ("PUT", "/models/{id}", models.put),
            ("DELETE", "/models/{id}", models.delete),
            ("POST", "/models/{id}/_deploy", models.deploy),
            ("POST", "/models/{id}/_undeploy", models.undeploy),
            ("POST", "/models/{id}/_predict", self._predict.predict),
            ("POST", "/models/{id}/_batch_predict", self._predict.batch_predict),
            ("GET POST", "/tasks/_search", tasks.search),
            ("GET", "/tasks/{id}", tasks.get),
            ("DELETE", "/tasks/{id}", tasks.delete),
            ("POST", "/tasks/{id}/_cancel", tasks.cancel),
            ("POST", "/tasks/{id}/_cancel_batch", tasks.cancel_batch),
            ("POST", "/_batch_ingestion", self.batch_ingestion),
        ]
        routes = [Route(ML + path, endpoint, methods=methods.split()) for methods, path, endpoint in table]
        return [
            Route("/", self.info),
            Route("/_cluster/settings", self._settings.get, methods=["GET"]),
            Route("/_cluster/settings", self._settings.put, methods=["PUT"]),
            *routes,
        ]

    async def info(self, request: Request) -> Response:
        lucene, wire, index = VERSIONS[self._box.release]
        version = {
            "distribution": "opensearch",
            "number": NUMBERS.get(self._box.profile, self._box.profile),
            "build_type": "sandbox",
            "build_hash": "unknown",
            "build_date": "unknown",
            "build_snapshot": False,
            "lucene_version": lucene,
            "minimum_wire_compatibility_version": wire,
            "minimum_index_compatibility_version": index,
        }
        return JSONResponse(
            {
                "name": "sandbox",
                "cluster_name": "sandbox",
                "cluster_uuid": "sandboxClusterUuidAAAA",
                "version": version,
                "tagline": "The OpenSearch Project: https://opensearch.org/",
            }
        )

    async def batch_ingestion(self, request: Request) -> Response:
        """Gone in 3.x; in 2.x only its first check is served."""
        if self._box.is_3x:
            raise NoHandler(request.url.path, request.method)
        reason = "The index name for data ingestion is missing. Please provide a valid index name to proceed."
        raise illegal_argument(reason)
