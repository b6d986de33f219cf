"""Nearest neighbours: the knn query, which is exact here, and the knn_score script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from sandbox.index_face.errors import Problem, illegal_argument, malformed, not_served, parsing
from sandbox.index_face.values import View, at, objects_at
from sandbox.index_face.vectors import ZERO, scores, space_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.index_face.documents import Document
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
    owners, matrix = _matrix(within, path)
    if not owners:
        return lambda view: None
    best: dict[str, tuple[float, int | None]] = {}
    for owner, score in zip(owners, scores(space_of(field), matrix, query).tolist(), strict=True):
        document = owner.document
        if filters is None or filters(View(document, owner.place)) is not None:
            best[document.id] = max((score, owner.offset), best.get(document.id, (-1.0, None)), key=lambda one: one[0])
    top = dict(sorted(best.items(), key=lambda item: -item[1][0])[:k])

    def score_of(view: View) -> float | None:
        score, offset = top.get(view.document.id, (None, None))
        return score if view.offset == offset else None

    return score_of


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
    owners, matrix = _matrix(within, path)
    found = scores(str(params.get("space_type", "l2")), matrix, query).tolist() if owners else []
    by_place = {(owner.document.id, owner.offset): score for owner, score in zip(owners, found, strict=True)}
    return lambda view: None if inner(view) is None else by_place.get((view.document.id, view.offset), 0.0)


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


def not_created(words: str, within: Within, type_: str = "illegal_argument_exception") -> Problem:
    more = {"index": within.index.name, "index_uuid": within.index.uuid}
    caused_by = {"type": type_, "reason": words}
    return Problem(400, "query_shard_exception", f"failed to create query: {words}", more, caused_by)


@dataclass(frozen=True)
class Owner:
    """Whose a vector is: `offset` is that of the nested object in its document."""

    place: int
    document: Document
    offset: int | None


def _matrix(within: Within, path: str) -> tuple[list[Owner], Any]:
    """Every vector of the field, and whose it is; kept for the next query."""
    snapshot, nested = within.snapshot, within.index.fields.nested_above(path)
    if ("matrix", path) not in snapshot.kept:
        owners: list[Owner] = []
        rows: list[Any] = []
        for place, document in enumerate(snapshot.documents):
            for offset, row in _vectors(document, path, nested):
                owners.append(Owner(place, document, offset))
                rows.append(row)
        snapshot.kept["matrix", path] = (owners, numpy.vstack(rows) if rows else None)
    kept: tuple[list[Owner], Any] = snapshot.kept["matrix", path]
    return kept


def _vectors(document: Document, path: str, nested: str | None) -> list[tuple[int | None, Any]]:
    """Kept with the document, which outlives snapshots."""
    if document.vectors is None:
        document.vectors = {}
    if path not in document.vectors:
        value = {} if path in document.skipped else document.read()
        holders: list[tuple[int | None, Any, str]] = [(None, value, path)]
        if nested:
            rest = path.removeprefix(f"{nested}.")
            holders = [(offset, each, rest) for offset, each in enumerate(objects_at(value, nested))]
        document.vectors[path] = [
            (offset, _floats(item))
            for offset, holder, below in holders
            for item in at(holder, below)
            if isinstance(item, list) and item
        ]
    kept: list[tuple[int | None, Any]] = document.vectors[path]
    return kept


def _floats(item: list[Any]) -> Any:
    return numpy.array([float(number) for number in item], dtype=numpy.float32)
