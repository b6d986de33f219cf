"""SageMaker's models: only their names and roles count, the container behind all of them is the sandbox's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.aws_face.caller import AWSError

if TYPE_CHECKING:
    from sandbox.aws_face.caller import Caller
    from sandbox.box import Box

KIND = "sagemaker_model"


class Models:
    def __init__(self, box: Box) -> None:
        self._state = box.state

    def create(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        arn = self.arn(asked["ModelName"], caller)
        if self._state.get(KIND, arn) is not None:
            raise AWSError(400, "ValidationException", f'Cannot create already existing model "{arn}".')
        shown = {"EnableNetworkIsolation": False} | asked | {"CreationTime": round(time.time(), 3), "ModelArn": arn}
        self._state.put(KIND, arn, shown)
        return {"ModelArn": arn}

    def describe(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return self.get(asked["ModelName"], caller)

    def delete(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self.get(asked["ModelName"], caller)
        self._state.delete(KIND, self.arn(asked["ModelName"], caller))
        return {}

    def get(self, name: str, caller: Caller) -> dict[str, Any]:
        """Raises AWSError in AWS's words (https://github.com/aws/deep-learning-containers/issues/586)."""
        arn = self.arn(name, caller)
        stored = self._state.get(KIND, arn)
        if stored is None:
            raise AWSError(400, "ValidationException", f'Could not find model "{arn}".')
        return stored.body

    def behind(self, endpoint: str, caller: Caller) -> str:
        """The model whose name the endpoint has or begins with: the sandbox has no endpoints of their own."""
        prefix = self.arn("", caller)
        names = [stored.id.removeprefix(prefix) for stored in self._state.all(KIND) if stored.id.startswith(prefix)]
        for name in sorted(names, key=len, reverse=True):
            if endpoint == name or endpoint.startswith(f"{name}-"):
                return name
        raise AWSError(400, "ValidationError", f"Endpoint {endpoint} of account {caller.account} not found.")

    @staticmethod
    def arn(name: str, caller: Caller) -> str:
        return f"arn:aws:sagemaker:{caller.region}:{caller.account}:model/{name}"
