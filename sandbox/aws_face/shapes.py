"""Checks that AWS makes before all others: members that are missing or of a wrong type, length, range or pattern.

The rules are those of botocore's service models, so they are AWS's. The texts follow AWS's validation errors
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html names the code); it was not verified that
every service uses them for every constraint. Unknown members are ignored, as AWS ignores them.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import botocore.session

from sandbox.aws_face.caller import AWSError

if TYPE_CHECKING:
    from botocore.model import Shape, StructureShape

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "timestamp": (int, float, str),
}


def check(service: str, operation: str, given: object) -> dict[str, Any]:
    """`given` itself when it is in order; raises AWSError (400) with all that is wrong with it."""
    if not isinstance(given, dict):
        raise AWSError(400, "SerializationException", "the body is not a JSON object")
    wrong: list[str] = []
    shape = _input_shape(service, operation)
    if shape is not None:
        _structure(shape, given, "", wrong)
    if wrong:
        count = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected: "
        raise AWSError(400, "ValidationException", count + "; ".join(wrong))
    return given


@functools.lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@functools.lru_cache(maxsize=64)
def _input_shape(service: str, operation: str) -> StructureShape | None:
    shape: StructureShape | None = _session().get_service_model(service).operation_model(operation).input_shape
    return shape


def _structure(shape: StructureShape, given: dict[str, Any], path: str, wrong: list[str]) -> None:
    for name, member in shape.members.items():
        inner = f"{path}.{name[:1].lower()}{name[1:]}".lstrip(".")
        value = given.get(name)
        if value is not None:
            _value(member, value, inner, wrong)
        elif name in shape.required_members:
            wrong.append(f"Value null at '{inner}' failed to satisfy constraint: Member must not be null")


def _value(shape: Shape, value: Any, path: str, wrong: list[str]) -> None:
    kind = shape.type_name
    wanted = TYPES.get(kind)
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean")):
        message = f"the member '{path}' is {type(value).__name__} and should be {kind}"
        raise AWSError(400, "SerializationException", message)
    if kind == "structure":
        _structure(shape, value, path, wrong)
    elif kind == "list":
        _length(shape, len(value), value, path, wrong)
        for index, item in enumerate(value):
            _value(shape.member, item, f"{path}.{index + 1}.member", wrong)
    elif kind == "map":
        _length(shape, len(value), value, path, wrong)
    elif kind == "string":
        _string(shape, value, path, wrong)
    elif kind in ("integer", "long"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            _refuse(wrong, value, path, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            _refuse(wrong, value, path, f"Member must have value less than or equal to {high}")


def _string(shape: Shape, value: str, path: str, wrong: list[str]) -> None:
    names = shape.metadata.get("enum")
    if names and value not in names:
        _refuse(wrong, value, path, f"Member must satisfy enum value set: [{', '.join(names)}]")
        return
    _length(shape, len(value), value, path, wrong)
    pattern = shape.metadata.get("pattern")
    # Java's character classes have no counterpart in Python's re; only tags use them.
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value):
        _refuse(wrong, value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _length(shape: Shape, length: int, value: object, path: str, wrong: list[str]) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        _refuse(wrong, value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and length > high:
        _refuse(wrong, value, path, f"Member must have length less than or equal to {high}")


def _refuse(wrong: list[str], value: object, path: str, constraint: str) -> None:
    wrong.append(f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}")
