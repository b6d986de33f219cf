"""SageMaker's API: batch transform, the models it needs, and InvokeEndpoint.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html. An operation is named by X-Amz-Target, as
the SDKs do, or by the last part of the path, as ML Commons' blueprint does.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from starlette.responses import Response

from sandbox.aws_face import container, shapes, transforms
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.models import Models
from sandbox.aws_face.transforms import Transforms

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.aws_face.caller import Caller
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

JSON = "application/x-amz-json-1.1"
ENDPOINT = re.compile(r"(?:^|/)endpoints/([^/]+)/invocations$")


class SageMaker:
    scopes = ("sagemaker",)

    def __init__(self, box: Box, objects: Objects) -> None:
        self._models = Models(box)
        self._transforms = Transforms(box, objects, self._models)
        self._operations = {
            "CreateTransformJob": self._transforms.create,
            "DescribeTransformJob": self._transforms.describe,
            "StopTransformJob": self._transforms.stop_job,
            "ListTransformJobs": self._transforms.list_jobs,
            "CreateModel": self._models.create,
            "DescribeModel": self._models.describe,
            "DeleteModel": self._models.delete,
        }

    def start(self) -> None:
        self._transforms.worker.start()

    def stop(self) -> None:
        self._transforms.worker.stop()

    def ledger(self) -> list[dict[str, Any]]:
        return transforms.ledger(self._transforms)

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        if found := ENDPOINT.search(path):
            return await asyncio.to_thread(self._invoke, unquote(found[1]), caller, request, body)
        return await asyncio.to_thread(self._operate, request, caller, path, body)

    def _operate(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        target = request.headers.get("x-amz-target", "")
        name = target.partition(".")[2] or path.rstrip("/").rpartition("/")[2]
        operation = self._operations.get(name)
        if operation is None or request.method != "POST":
            message = f"the sandbox does not serve SageMaker's {request.method} {name or path}"
            raise AWSError(501, "NotServedByTheSandbox", message)
        try:
            given = json.loads(body)
        except ValueError:
            raise AWSError(400, "SerializationException", "the body is not JSON") from None
        answer = operation(shapes.check("sagemaker", name, given), caller)
        return Response(json.dumps(answer) if answer else b"", media_type=JSON)

    def _invoke(self, endpoint: str, caller: Caller, request: Request, body: bytes) -> Response:
        if request.method != "POST":
            raise AWSError(501, "NotServedByTheSandbox", f"the sandbox does not serve {request.method} of endpoints")
        model = self._models.behind(endpoint, caller)
        try:
            texts = container.texts_of(json.loads(body))
        except (ValueError, container.BadRequest) as error:
            message = f'Received client error (400) from primary with message "{error}".'
            raise AWSError(424, "ModelError", message) from None
        answer = container.answer_all(model, [texts])[0]
        headers = {"x-amzn-invoked-production-variant": "AllTraffic"}
        raw = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(raw, media_type="application/json", headers=headers)
