"""Bedrock's API: model invocation jobs, and InvokeModel of the runtime.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock.html
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from starlette.responses import Response

from sandbox.aws_face import foundation, shapes
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.invocations import Invocations

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from sandbox.aws_face.caller import Caller
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

JOBS = re.compile(r"(?:^|/)model-invocation-jobs/?$")
JOB = re.compile(r"^(?:.*?/)??model-invocation-job(?:/(?P<id>.+?))?(?P<stop>/stop)?/?$")
MODEL = re.compile(r"(?:^|/)model/(.+)/invoke$")
# The query comes as text; https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListModelInvocationJobs.html
NUMBERS = ("maxResults",)


class Bedrock:
    scopes = ("bedrock",)

    def __init__(self, box: Box, objects: Objects) -> None:
        self._invocations = Invocations(box, objects)

    def start(self) -> None:
        self._invocations.worker.start()

    def stop(self) -> None:
        self._invocations.worker.stop()

    def ledger(self) -> list[dict[str, Any]]:
        return self._invocations.ledger()

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        if found := MODEL.search(path):
            return await asyncio.to_thread(_invoke, request, unquote(found[1]), body)
        operation, given = self._find(request, path, body)
        answer = await asyncio.to_thread(operation, given, caller)
        return Response(json.dumps(answer), media_type="application/json")

    def _find(
        self, request: Request, path: str, body: bytes
    ) -> tuple[Callable[[dict[str, Any], Caller], dict[str, Any]], dict[str, Any]]:
        given: Any = dict(request.query_params)
        if JOBS.search(path) and request.method == "GET":
            operation, name = self._invocations.list_jobs, "ListModelInvocationJobs"
            given = {key: _number(key, value) if key in NUMBERS else value for key, value in given.items()}
        elif (found := JOB.match(path)) and (request.method, bool(found["id"]), bool(found["stop"])) in ROUTES:
            name = ROUTES[request.method, bool(found["id"]), bool(found["stop"])]
            operation = getattr(self._invocations, METHODS[name])
            given = {"jobIdentifier": unquote(found["id"])} if found["id"] else _json(body)
        else:
            message = f"the sandbox does not serve Bedrock's {request.method} {path}"
            raise AWSError(501, "NotServedByTheSandbox", message)
        return operation, shapes.check("bedrock", name, given)


ROUTES = {
    ("POST", False, False): "CreateModelInvocationJob",
    ("GET", True, False): "GetModelInvocationJob",
    ("POST", True, True): "StopModelInvocationJob",
}
METHODS = {
    "CreateModelInvocationJob": "create",
    "GetModelInvocationJob": "get",
    "StopModelInvocationJob": "stop_job",
}


def _invoke(request: Request, model_id: str, body: bytes) -> Response:
    if request.method != "POST":
        raise AWSError(501, "NotServedByTheSandbox", f"the sandbox does not serve {request.method} of a model")
    answer = foundation.answer_all(model_id, [_json(body)])[0]
    if answer.error:
        raise AWSError(answer.error[0], "ValidationException", answer.error[1])
    headers = {
        "x-amzn-bedrock-input-token-count": str(answer.input_tokens),
        "x-amzn-bedrock-output-token-count": str(answer.output_tokens),
    }
    raw = orjson.dumps(answer.body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(raw, media_type="application/json", headers=headers)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise AWSError(400, "SerializationException", "the body is not JSON") from None


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise AWSError(400, "ValidationException", f"'{name}' is not a number: {text!r}") from None
