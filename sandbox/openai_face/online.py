"""/v1/models and the endpoints that answer at once; the same answers as in a batch."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import orjson
from starlette.responses import JSONResponse, Response

from sandbox.openai_face.answers import ENDPOINTS, MODELS, answer_all
from sandbox.openai_face.errors import OpenAIError, no_such_model

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.box import Box

MODEL_SINCE = 1_700_000_000


class Online:
    def __init__(self, box: Box) -> None:
        self._box = box

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(id_) for id_ in MODELS]})

    async def model(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if id_ not in MODELS:
            raise no_such_model(id_)
        return JSONResponse(_model(id_))

    async def answer(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except ValueError:
            raise OpenAIError(400, "We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict):
            raise OpenAIError(400, "Invalid type: expected an object.", code="invalid_type")
        if body.get("stream"):
            raise OpenAIError(501, "the sandbox does not stream answers", code="not_served_by_the_sandbox")
        endpoint = request.url.path
        assert endpoint in ENDPOINTS
        (answer,) = await asyncio.to_thread(answer_all, endpoint, [body])
        raw = orjson.dumps(answer.body, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(raw, status_code=answer.status, media_type="application/json")


def _model(id_: str) -> dict[str, object]:
    return {"id": id_, "object": "model", "created": MODEL_SINCE, "owned_by": "sandbox"}
