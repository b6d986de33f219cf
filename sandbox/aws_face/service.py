"""The interface of an AWS service (S3, STS, SageMaker, Bedrock) behind the face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.aws_face.caller import Caller


class Service(Protocol):
    """Made with `Service(box, objects)`."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Its names in a credential scope; a class attribute will do."""

    async def answer(self, request: Request, caller: Caller, path: str, body: bytes) -> Response:
        """`path` is below the mount point, as sent, its signature found right. The face words an AWSError."""

    def start(self) -> None:
        """Take up what a kill or a reset left; may be called again after stop()."""

    def stop(self) -> None: ...

    def ledger(self) -> list[dict[str, Any]]:
        """What was charged, oldest first."""
