"""The method of a vector field: which engines, spaces and names are refused, as 2.19.6 and 3.6.0 were seen to."""

from __future__ import annotations

from typing import Any

from sandbox.index_face.errors import Problem, illegal_argument, unparsable

OF_FLOATS = frozenset({"l2", "cosinesimil", "innerproduct"})
SPACES = {"faiss": OF_FLOATS, "lucene": OF_FLOATS, "nmslib": OF_FLOATS | {"l1", "linf"}}
KNOWN_SPACES = SPACES["nmslib"] | {"hamming"}
NAMES = {"faiss": {"hnsw", "ivf"}, "lucene": {"hnsw"}, "nmslib": {"hnsw"}}
NO_NMSLIB = (
    "nmslib engine is deprecated in OpenSearch  and cannot be used for new index creation in OpenSearch from  3.0.0."
)


def checked(method: dict[str, Any], space: str, *, of_floats: bool, is_3x: bool) -> dict[str, Any]:
    """Return the method as the mapping shows it. `space` is the field's own, where the method names none."""
    name, engine = method.get("name"), str(method.get("engine", "faiss")).lower()
    space = str(method.get("space_type", space)).lower()
    if engine not in SPACES:
        raise unparsable(f"Invalid engine: {method['engine']}")
    if space not in KNOWN_SPACES:
        raise unparsable(f"Invalid space_type: {space}")
    if not name:
        raise unparsable("name needs to be set")
    if engine == "nmslib" and is_3x:
        raise illegal_argument(NO_NMSLIB)
    if of_floats:
        _refuse(method, name, engine, space, is_3x=is_3x)
    return {"parameters": {}, **method, "engine": engine, "space_type": space}


def _refuse(method: dict[str, Any], name: str, engine: str, space: str, *, is_3x: bool) -> None:
    if space == "hamming":
        raise illegal_argument("Space type [hamming] is not supported with [float] data type")
    if name not in NAMES[engine] and not (is_3x and (engine, name) == ("lucene", "flat")):
        raise illegal_argument(f"Invalid method name: {name}")
    if space not in SPACES[engine]:
        raise _invalid(f'"{name}" with "{engine}" configuration does not support space type: "{space}".')
    encoder = (method.get("parameters") or {}).get("encoder") or {}
    if name == "ivf" or encoder.get("name") == "pq":
        raise _invalid('"method" requires training.')


def _invalid(reason: str) -> Problem:
    return Problem(400, "validation_exception", f"Validation Failed: 1: {reason};")
