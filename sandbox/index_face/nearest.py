"""Nearest neighbours: the knn query, which is exact here, and the knn_score script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from sandbox.index_face.errors import Problem, illegal_argument, malformed, not_served, parsing
from sandbox.index_face.values import View, at
from sandbox.index_face.vectors import ZERO, scores, space_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.index_face.documents import Document, Snapshot
    from sandbox.index_face.queries import Within

    Score = Callable[[View], float | None]
    Compile = Callable[[Any, Within], Score]

KNOWN = frozenset({"vector", "k", "filter", "method_parameters", "boost", "rescore", "expand_nested_docs"})


def nearest(given: Any, within: Within, compiled: Compile) -> Score:
    """The `k` nearest of the shard; those of nested objects count by the nearest of each document."""
    if not isinstance(given, dict) or len(given) != 1:
        raise parsing("[knn] query malformed, expected one field")
    path, asked = next(iter(given.items()))
    if unknown := set(asked) - KNOWN:
        if unknown <= {"min_score", "max_distance"}:
            raise not_served(f"{sorted(unknown)} in a knn query")
        raise parsing(f"[knn] query does not support [{sorted(unknown)[0]}]")
    k = asked.get("k")
    if not isinstance(k, int) or k < 1:
        raise malformed("[knn] requires k to be in the range (0, 10000]")
    field = _field(path, within)
    query = _query_vector(asked.get("vector"), field, within, path)
    filters = compiled(asked["filter"], within) if asked.get("filter") is not None else None
    owners, matrix = _matrix(within.snapshot, path)
    if not owners:
        return lambda view: None
    best: dict[str, float] = {}
    for (place, document), score in zip(owners, scores(space_of(field), matrix, query).tolist(), strict=True):
        if filters is None or filters(View(document, place)) is not None:
            best[document.id] = max(score, best.get(document.id, 0.0))
    top = dict(sorted(best.items(), key=lambda item: -item[1])[:k])
    return lambda view: top.get(view.document.id)


def scored_by_script(given: Any, within: Within, compiled: Compile) -> Score:
    script = given.get("script", {})
    if script.get("lang") != "knn" or script.get("source") != "knn_score":
        raise not_served("the script of a script_score but for knn_score")
    params = script.get("params", {})
    path = str(params.get("field"))
    field = within.index.fields.types.get(path)
    if field is None or field["type"] != "knn_vector":
        raise illegal_argument(f"Field '{path}' is not knn_vector type.")
    inner = compiled(given.get("query", {"match_all": {}}), within)
    query = numpy.array(params.get("query_value"), dtype=numpy.float32)
    owners, matrix = _matrix(within.snapshot, path)
    found = scores(str(params.get("space_type", "l2")), matrix, query).tolist() if owners else []
    by_id = {document.id: score for (_, document), score in zip(owners, found, strict=True)}
    return lambda view: None if inner(view) is None else by_id.get(view.document.id, 0.0)


def _field(path: str, within: Within) -> dict[str, Any]:
    field = within.index.fields.types.get(path)
    if field is None or field["type"] != "knn_vector":
        raise not_created(f"Field '{path}' is not knn_vector type.", within)
    if "method" not in field and within.index.settings.get("index.knn") != "true":
        raise not_created(f"Field '{path}' is not built for ANN search.", within)
    return field


def _query_vector(given: Any, field: dict[str, Any], within: Within, path: str) -> Any:
    if not isinstance(given, list) or not given:
        raise malformed("[knn] requires query vector")
    query = numpy.array(given, dtype=numpy.float32)
    if len(query) != field["dimension"]:
        words = f"Query vector has invalid dimension: {len(query)}. Dimension should be: {field['dimension']}"
        raise not_created(words, within)
    if space_of(field) == "cosinesimil" and not query.any():
        raise not_created(ZERO, within)
    return query


def not_created(words: str, within: Within) -> Problem:
    more = {"index": within.index.name, "index_uuid": within.index.uuid}
    caused_by = {"type": "illegal_argument_exception", "reason": words}
    return Problem(400, "query_shard_exception", f"failed to create query: {words}", more, caused_by)


def _matrix(snapshot: Snapshot, path: str) -> tuple[list[tuple[int, Document]], Any]:
    """Every vector of the field, and whose it is; kept for the next query."""
    if ("matrix", path) not in snapshot.kept:
        owners: list[tuple[int, Document]] = []
        rows: list[Any] = []
        for place, document in enumerate(snapshot.documents):
            found = _vectors(document, path)
            owners += [(place, document)] * len(found)
            rows += found
        snapshot.kept["matrix", path] = (owners, numpy.vstack(rows) if rows else None)
    kept: tuple[list[tuple[int, Document]], Any] = snapshot.kept["matrix", path]
    return kept


def _vectors(document: Document, path: str) -> list[Any]:
    """Kept with the document, which outlives snapshots."""
    if document.vectors is None:
        document.vectors = {}
    if path not in document.vectors:
        found = at(document.read(), path) if path not in document.skipped else []
        rows = [_floats(item) for item in found if isinstance(item, list) and item]
        document.vectors[path] = rows
    kept: list[Any] = document.vectors[path]
    return kept


def _floats(item: list[Any]) -> Any:
    return numpy.array([float(number) for number in item], dtype=numpy.float32)
