"""`_search`: over indices as they are, or in a point in time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.index_face import sorting
from sandbox.index_face.asked import beside, with_params
from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import Malformed, Problem, illegal_argument, invalid_request, not_served
from sandbox.index_face.failures import Failure, all_failed, grouped, search_rejected, shard_is_gone
from sandbox.index_face.hashing import holds, in_share
from sandbox.index_face.hits import Shape, check_doc_values
from sandbox.index_face.inner_hits import InnerHits
from sandbox.index_face.points import Point, Points, keep_alive_of
from sandbox.index_face.queries import Within, compiled
from sandbox.index_face.targets import Target, targets
from sandbox.index_face.values import View, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.faults import Faults
    from sandbox.index_face.catalog import Catalog

KNOWN = frozenset({
    "query", "size", "from", "sort", "_source", "search_after", "slice", "pit", "track_total_hits",
    "seq_no_primary_term", "version", "fields", "docvalue_fields", "stored_fields", "timeout",
})  # fmt: skip
PARAMS = (
    "preference", "routing", "allow_partial_search_results", "ignore_unavailable", "allow_no_indices",
    "expand_wildcards", "timeout", "request_cache", "_source", "_source_includes", "_source_excludes", "size",
    "from", "track_total_hits", "seq_no_primary_term", "version",
)  # fmt: skip
COUNTED = 10_000
MAX_SLICES = 1024
KEPT_ANSWERS = 32


@dataclass(frozen=True)
class Found:
    """All hits of a search in their order, and the shards that failed."""

    rows: list[tuple[tuple[Any, ...], View, float, Target]]
    failures: list[Failure]
    phase: str


class Search:
    def __init__(self, catalog: Catalog, points: Points, faults: Faults) -> None:
        self._catalog, self._points, self._faults = catalog, points, faults

    def run(self, call: Call, expression: str | None) -> Answer:
        call.check_params(*PARAMS)
        body = with_params(call.body(), call)
        if unknown := sorted(set(body) - KNOWN):
            raise not_served(f"{unknown} in a search of documents; it knows {sorted(KNOWN)}")
        began = time.monotonic()
        point = self._point(body, call, expression)
        asked = point.targets if point else self._targets(call, expression)
        return self._answer(call, body, asked, point, began)

    def count(self, call: Call, expression: str) -> Answer:
        call.check_params("routing", "preference", "ignore_unavailable", "allow_no_indices", "expand_wildcards")
        body = call.body()
        if set(body) - {"query"}:
            raise not_served(f"{sorted(set(body) - {'query'})} in a count")
        asked = self._targets(call, expression)
        found = self._found({"query": body.get("query"), "size": 0}, dict(enumerate(asked)), None)
        if found.failures and not found.rows:
            raise all_failed(found.failures, found.phase)
        shards = len(asked)
        good = shards - len(found.failures)
        counts = {"total": shards, "successful": good, "skipped": 0, "failed": len(found.failures)}
        return Answer(200, {"count": len(found.rows), "_shards": counts})

    def _targets(self, call: Call, expression: str | None) -> list[Target]:
        params = call.params
        missing = call.flag("ignore_unavailable")
        where = expression or "_all"
        return targets(self._catalog, where, params.get("routing"), params.get("preference"), ignore_missing=missing)

    def _point(self, body: dict[str, Any], call: Call, expression: str | None) -> Point | None:
        given = body.get("pit")
        if given is None:
            if "slice" in body:
                raise invalid_request("slice can only be used with scroll or point-in-time requests")
            return None
        if body.get("slice", {}).get("field", "_id") != "_id":
            raise not_served("slices by a field other than _id")
        wrong = [name for name, value in (("indices", expression), *beside(call)) if value]
        if wrong:
            raise invalid_request(*(f"[{name}] cannot be used with point in time" for name in wrong))
        if self._faults.take("pit_lost"):
            self._points.lose(str(given.get("id")))
        point = self._points.find(str(given.get("id")))
        keep_alive = given.get("keep_alive")
        point.renew(keep_alive_of(keep_alive) if keep_alive is not None else None)
        return point

    def _answer(
        self, call: Call, body: dict[str, Any], asked: list[Target], point: Point | None, began: float
    ) -> Answer:
        sort = sorting.keys(body.get("sort"))
        start, size = int(body.get("from", 0)), int(body.get("size", 10))
        gone = self._gone(asked)
        found = self._kept(body, {n: target for n, target in enumerate(asked) if target not in gone}, point)
        failures = [*(shard_is_gone(target) for target in gone), *found.failures]
        self._check_failures(call, failures, len(asked), found.phase, bool(gone))
        if _is_of_neighbours(body.get("query") or {}) and (fault := self._faults.take("neighbours_missed")):
            found = replace(found, rows=found.rows[int(fault.number("count", 7)) :])
        if "search_after" in body:
            start = _start(found, body["search_after"], sort)
        rows = found.rows[start : start + size]
        shape = Shape.of(body, sort)
        hits = [shape.hit(row) for row in rows]
        is_scored = not sort or any(key.field == "_score" for key in sort)
        best = max((score for _, _, score, _ in found.rows), default=None) if is_scored and size else None
        best = None if best is None else rounded(best)
        shards: dict[str, Any] = {
            "total": len(asked),
            "successful": len(asked) - len(failures),
            "skipped": 0,
            "failed": len(failures),
        }
        if failures:
            shards["failures"] = [failure.to_dict() for failure in grouped(failures)]
        took = int((time.monotonic() - began) * 1000)
        answer = {"took": took, "timed_out": False, "_shards": shards}
        if point:
            answer = {"pit_id": point.id, **answer}
        total = _total(body.get("track_total_hits", COUNTED), len(found.rows))
        return Answer(200, {**answer, "hits": {**total, "max_score": best, "hits": hits}})

    def _gone(self, asked: list[Target]) -> list[Target]:
        if not asked or not (fault := self._faults.take("shard_failed")):
            return []
        number = int(fault.number("shard", asked[-1].number))
        return [target for target in asked if target.number == number][-1:]

    def _check_failures(self, call: Call, failures: list[Failure], asked: int, phase: str, gone: bool) -> None:
        if not failures:
            return
        if gone and (len(failures) == asked or not call.flag("allow_partial_search_results", True)):
            raise search_rejected(failures)
        if len(failures) == asked:
            raise all_failed(failures, phase)
        if not call.flag("allow_partial_search_results", True):
            raise all_failed(failures, phase, "Partial shards failure")

    def _kept(self, body: dict[str, Any], asked: dict[int, Target], point: Point | None) -> Found:
        """A walk through a point in time asks the same again and again. Shards come by their number in the search."""
        if point is None:
            return self._found(body, asked, None)
        fits = _window(asked.values(), body) is None
        window = (fits, body.get("query"), body.get("sort"), body.get("slice"), list(asked))
        key = orjson.dumps(window, option=orjson.OPT_SORT_KEYS)
        if key not in point.kept:
            while len(point.kept) >= KEPT_ANSWERS:
                point.kept.pop(next(iter(point.kept)))
            point.kept[key] = self._found(body, asked, point)
        kept: Found = point.kept[key]
        return kept

    def _found(self, body: dict[str, Any], asked: dict[int, Target], point: Point | None) -> Found:
        sort = sorting.keys(body.get("sort"))
        rows: list[tuple[tuple[Any, ...], View, float, Target]] = []
        failures = []
        for ordinal, target in asked.items():
            try:
                rows += self._of_shard(body, target, ordinal, sort, point)
            except Problem as problem:
                if problem.status == 501 or isinstance(problem, Malformed):
                    raise
                failures.append(Failure.of(target, problem))
        if sort:
            for column in range(len(sort) - 1, -1, -1):
                rows.sort(key=lambda row: row[0][column], reverse=sort[column].descends)  # noqa: B023
        elif any(score != rows[0][2] for _, _, score, _ in rows):
            rows.sort(key=lambda row: -row[2])
        looks_first = len(asked) > 1 and bool(sort) and sort[0].field not in ("_score", "_doc")
        return Found(rows, failures, "can_match" if looks_first else "query")

    def _of_shard(
        self, body: dict[str, Any], target: Target, ordinal: int, sort: list[sorting.Key], point: Point | None
    ) -> list[tuple[tuple[Any, ...], View, float, Target]]:
        if problem := _window([target], body):
            raise problem
        check_doc_values(body.get("docvalue_fields"), target.index)
        InnerHits.of(body.get("query")).check(target.index)
        within = Within(target.index, target.snapshot, shard=target.number)
        is_3x = self._catalog.is_3x
        values = [sorting.value_of(key, target.index, in_pit=point is not None, is_3x=is_3x) for key in sort]
        score_of = compiled(body.get("query") or {"match_all": {}}, within)
        allowed = compiled(target.filter, within) if target.filter is not None else None
        share = _share(body.get("slice"), target)
        if share is False:
            return []
        rows = []
        for place, document in enumerate(target.snapshot.documents):
            if isinstance(share, tuple) and not in_share(document.id, share):
                continue
            view = View(document, place)
            score = score_of(view)
            if score is None or (allowed is not None and allowed(view) is None):
                continue
            columns = sorting.place([value(view, ordinal, score) for value in values], sort) if values else ()
            view.forget()
            rows.append((columns, view, score, target))
        return rows


def _window(asked: Iterable[Target], body: dict[str, Any]) -> Problem | None:
    """Why a shard refuses so many hits, or so many slices."""
    start, size = int(body.get("from", 0)), int(body.get("size", 10))
    for target in asked:
        most = int(target.index.settings.get("index.max_result_window", 10_000))
        if start + size > most:
            words = f"Result window is too large, from + size must be less than or equal to: [{most}] but was"
            more = "See the scroll api for a more efficient way to request large data sets. This limit can be set by"
            end = "changing the [index.max_result_window] index level setting."
            return illegal_argument(f"{words} [{start + size}]. {more} {end}")
    count = (body.get("slice") or {}).get("max", 1)
    if count > MAX_SLICES:
        words = f"The number of slices [{count}] is too large. It must be less than [{MAX_SLICES}]. This limit can be"
        reason = f"{words} set by changing the [index.max_slices_per_pit] index level setting."
        return Problem(429, "rejected_execution_exception", reason)
    return None


def _share(given: Any, target: Target) -> tuple[int, int] | bool:
    if given is None:
        return True
    number, count = int(given.get("id", -1)), int(given.get("max", 0))
    if count < 2 or not 0 <= number < count:
        raise illegal_argument("max must be greater than id" if number >= count else "max must be greater than 1")
    return holds(number, count, target.number, len(target.index.shards))


def _start(found: Found, after: Any, sort: list[sorting.Key]) -> int:
    """The first row that lies strictly after the mark."""
    values = sorting.mark(after, sort)
    if not found.rows:
        return 0
    mark = sorting.place(sorting.typed(values, found.rows[0][0]), sort)
    low, high = 0, len(found.rows)
    while low < high:
        middle = (low + high) // 2
        if sorting.is_after(found.rows[middle][0], mark, sort):
            high = middle
        else:
            low = middle + 1
    return low


def _total(given: Any, count: int) -> dict[str, Any]:
    if given is False:
        return {}
    if given is True or count <= int(given):
        return {"total": {"value": count, "relation": "eq"}}
    return {"total": {"value": int(given), "relation": "gte"}}


def _is_of_neighbours(query: dict[str, Any]) -> bool:
    """Also of those of nested objects."""
    return "knn" in query or "knn" in ((query.get("nested") or {}).get("query") or {})
