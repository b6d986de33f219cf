"""Everything under /aws: the signature is checked, then the service named in its credential scope answers.

The scope decides, not the path: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html.
A path may name the service as well, as in /aws/sagemaker/CreateTransformJob, because ML Commons recognises providers by
words in the URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sandbox.aws_face import signature
from sandbox.aws_face.bedrock import Bedrock
from sandbox.aws_face.buckets import Buckets
from sandbox.aws_face.caller import AWSError, Caller
from sandbox.aws_face.errors import render, trouble
from sandbox.aws_face.keys import ACCOUNT, Keys
from sandbox.aws_face.s3 import S3
from sandbox.aws_face.sagemaker import SageMaker
from sandbox.aws_face.sts import STS
from sandbox.faults import called

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.aws_face.objects import Objects
    from sandbox.aws_face.service import Service
    from sandbox.box import Box

MOUNT = "/aws"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
# Those that see the buckets without HTTP.
SERVICES: tuple[Callable[[Box, Objects], Service], ...] = (STS, SageMaker, Bedrock)
# In front of a path that names its service.
NAMES = {
    "sagemaker": ("sagemaker", "sagemaker-runtime"),
    "bedrock": ("bedrock", "bedrock-runtime"),
    "sts": ("sts",),
}


class AWSFace:
    def __init__(self, box: Box) -> None:
        self._box, self._keys = box, Keys(box)
        self.objects = Buckets(box)
        self._services: list[Service] = [S3(box, self.objects), *(make(box, self.objects) for make in SERVICES)]
        self._by_scope = {scope: service for service in self._services for scope in service.scopes}

    def routes(self) -> list[Route]:
        return [Route(path, self.answer, methods=METHODS) for path in (MOUNT, f"{MOUNT}/{{rest:path}}")]

    def start(self) -> None:
        for service in self._services:
            service.start()

    def stop(self) -> None:
        """Services first: they may write to buckets until they have ended."""
        for service in reversed(self._services):
            service.stop()

    def ledger(self) -> list[dict[str, Any]]:
        return [entry for service in self._services for entry in service.ledger()]

    async def answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii").removeprefix(MOUNT) or "/"
        signed = signature.read(request)
        name = signed.service if signed else _named(path)
        try:
            return await self._answer(request, signed, name, path)
        except AWSError as error:
            return render(error, name, is_head=request.method == "HEAD")

    async def _answer(self, request: Request, signed: signature.Signed | None, name: str, path: str) -> Response:
        body = await request.body()
        if signed is None:
            raise trouble(name, "old_version" if signature.is_of_version_2(request) else "missing")
        key = self._keys.find(signed.access_key)
        if key is None:
            raise trouble(name, "unknown")
        signature.check(request, body, signed, key)
        call = request.method, called(request.url.path, request.headers.get("x-amz-target", ""))
        if self._box.faults.take("refuse_key", *call):
            raise trouble(name, "unknown")
        if self._box.faults.take("deny", *call):
            raise trouble(name, "denied")
        service = self._by_scope.get(name)
        if service is None:
            raise trouble(name, "not_served", f"the sandbox does not serve {name} of AWS")
        caller = Caller(signed.access_key, ACCOUNT, signed.region, name)
        return await service.answer(request, caller, _below(name, path), body)


def _named(path: str) -> str:
    """The service of a request without a signature: S3 is the one whose paths are the user's own."""
    first = path.lstrip("/").partition("/")[0]
    return next((name for name, words in NAMES.items() if first in words), "s3")


def _below(name: str, path: str) -> str:
    for word in NAMES.get(name, ()):
        if path == f"/{word}" or path.startswith(f"/{word}/"):
            return path.removeprefix(f"/{word}") or "/"
    return path
