"""Cohere's routes. All check the key, except the download of parts, which has signed addresses."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sandbox.cohere_face.datasets import PARTS, Datasets
from sandbox.cohere_face.embed_jobs import EmbedJobs
from sandbox.cohere_face.embedding import embed
from sandbox.cohere_face.errors import CohereError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box

    Endpoint = Callable[[Request], Awaitable[Response]]


class CohereFace:
    def __init__(self, box: Box) -> None:
        self._box = box
        self._datasets = Datasets(box)
        self._jobs = EmbedJobs(box, self._datasets)

    def start(self) -> None:
        self._jobs.start()

    def stop(self) -> None:
        self._jobs.stop()

    def ledger(self) -> list[dict[str, Any]]:
        return self._jobs.ledger()

    def routes(self) -> list[Route]:
        held, jobs = self._datasets, self._jobs
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/v1/datasets", held.create),
            ("GET", "/v1/datasets", held.list),
            ("GET", "/v1/datasets/usage", held.usage),
            ("GET", "/v1/datasets/{id}", held.get),
            ("DELETE", "/v1/datasets/{id}", held.delete),
            ("POST", "/v1/embed-jobs", jobs.create),
            ("GET", "/v1/embed-jobs", jobs.list_all),
            ("GET", "/v1/embed-jobs/{id}", jobs.get),
            ("POST", "/v1/embed-jobs/{id}/cancel", jobs.cancel),
            ("POST", "/v1/embed", embed),
            ("POST", "/v2/embed", embed),
        ]
        keyed = [Route(path, with_key(endpoint, self._box), methods=[method]) for method, path, endpoint in table]
        return [*keyed, Route(PARTS + "/{id}/{index:int}", held.part, methods=["GET"])]


def with_key(endpoint: Endpoint, box: Box) -> Endpoint:
    """Any bearer key is right but one that begins with co-wrong."""

    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise CohereError(401, "no api key supplied")
        if key.startswith("co-wrong"):
            raise CohereError(401, "invalid api token")
        if refused := box.faults.take("refuse_key", request.method, request.url.path):
            raise CohereError(int(refused.number("status", 401)), "invalid api token")
        return await endpoint(request)

    return guarded
