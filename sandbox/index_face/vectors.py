"""Vectors: as a document brings them, as a derived source gives them back, and how near two of them are."""

from __future__ import annotations

from typing import Any

import numpy
import orjson

from sandbox.index_face.errors import Problem, illegal_argument, unparsable

NUMBERS = {int, float}


def checked(value: Any, field: dict[str, Any], path: str, id: str) -> Any:
    """The float32 array; Problem says which document and what is wrong with it."""
    if isinstance(value, list) and set(map(type, value)) <= NUMBERS:
        made = numpy.array(value, dtype=numpy.float32)
    else:
        made = _odd(value, path, id)
    if len(made) != field["dimension"]:
        preview = value if isinstance(value, str) else "{}" if value == {} else "null"
        cause = f"Vector dimension mismatch. Expected: {field['dimension']}, Given: {len(made)}"
        raise _refused(path, id, preview, "illegal_argument_exception", cause)
    if not numpy.isfinite(made).all():
        raise _refused(path, id, "Infinity", "illegal_argument_exception", "KNN vector values cannot be infinity")
    if space_of(field) == "cosinesimil" and not made.any():
        raise _refused(path, id, "null", "illegal_argument_exception", ZERO)
    return made


ZERO = "zero vector is not supported when space type is [cosinesimil]"


def _odd(value: Any, path: str, id: str) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return numpy.array([value], dtype=numpy.float32)
    if not isinstance(value, list):
        return numpy.array([], dtype=numpy.float32)
    numbers = []
    for item in value:
        if item is None or isinstance(item, bool | list | dict):
            token = TOKENS[type(item)] if not isinstance(item, bool) else f"VALUE_{str(item).upper()}"
            shown = "null" if item is None else str(item).lower() if isinstance(item, bool) else str(item)
            cause = f"Current token ({token}) not numeric, can not use numeric value accessors\n at {PLACE}"
            raise _refused(path, id, shown, "json_parse_exception", cause)
        try:
            numbers.append(float(item))
        except ValueError:
            raise _refused(path, id, item, "number_format_exception", f'For input string: "{item}"') from None
    return numpy.array(numbers, dtype=numpy.float32)


PLACE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]"
TOKENS: dict[type, str] = {type(None): "VALUE_NULL", list: "START_ARRAY", dict: "START_OBJECT"}


def _refused(path: str, id: str, preview: str, type_: str, cause: str) -> Problem:
    words = f"failed to parse field [{path}] of type [knn_vector] in document with id '{id}'. "
    return unparsable(f"{words}Preview of field's value: '{preview}'", {"type": type_, "reason": cause})


def shortest(vector: Any) -> Any:
    """The numbers that a derived source gives back: the shortest text of each float32."""
    return orjson.loads(orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY))


def space_of(field: dict[str, Any]) -> str:
    method = field.get("method")
    return str((method or field).get("space_type", "l2"))


def scores(space: str, matrix: Any, query: Any) -> Any:
    """Of each row, as the server gives them."""
    if space == "cosinesimil":
        lengths = numpy.linalg.norm(matrix, axis=1) * numpy.linalg.norm(query)
        return (1 + matrix @ query / numpy.where(lengths == 0, 1, lengths)) / 2
    if space == "l2":
        return 1 / (1 + ((matrix - query) ** 2).sum(axis=1))
    if space == "innerproduct":
        product = matrix @ query
        return numpy.where(product >= 0, 1 + product, 1 / (1 - product))
    raise illegal_argument(f"Unable to find space: {space}")
