"""The routes under /v1, each behind the key check."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.routing import Route

from sandbox.openai_face.batches import Batches
from sandbox.openai_face.errors import OpenAIError
from sandbox.openai_face.files import Files
from sandbox.openai_face.online import Online

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box
    from sandbox.openai_face.worker import Worker

    Endpoint = Callable[[Request], Awaitable[Response]]


class OpenAIFace:
    def __init__(self, box: Box, worker: Worker) -> None:
        self._box = box
        self._files, self._batches, self._online = Files(box), Batches(box, worker), Online(box)

    def routes(self) -> list[Route]:
        files, batches, online, box = self._files, self._batches, self._online, self._box
        table: list[tuple[str, str, Endpoint]] = [
            ("POST", "/v1/files", files.create),
            ("GET", "/v1/files", files.list),
            ("GET", "/v1/files/{id}", files.retrieve),
            ("DELETE", "/v1/files/{id}", files.delete),
            ("GET", "/v1/files/{id}/content", files.content),
            ("POST", "/v1/batches", batches.create),
            ("GET", "/v1/batches", batches.list),
            ("GET", "/v1/batches/{id}", batches.retrieve),
            ("POST", "/v1/batches/{id}/cancel", batches.cancel),
            ("GET", "/v1/models", online.models),
            ("GET", "/v1/models/{id}", online.model),
            ("POST", "/v1/embeddings", online.answer),
            ("POST", "/v1/chat/completions", online.answer),
            ("POST", "/v1/responses", online.answer),
        ]
        return [Route(path, with_key(endpoint, box), methods=[method]) for method, path, endpoint in table]


def with_key(endpoint: Endpoint, box: Box) -> Endpoint:
    """Any bearer key is right but one that begins with sk-wrong."""

    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            message = "You didn't provide an API key. Send it in the Authorization header as a Bearer token."
            raise OpenAIError(401, message, code="invalid_api_key")
        if key.startswith("sk-wrong"):
            shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
            raise OpenAIError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")
        if refused := box.faults.take("refuse_key", request.method, request.url.path):
            raise OpenAIError(
                int(refused.number("status", 401)),
                "Incorrect API key provided: it was replaced.",
                code="invalid_api_key",
            )
        return await endpoint(request)

    return guarded
