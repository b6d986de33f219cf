"""Opening, listing and ending points in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import invalid_request
from sandbox.index_face.points import keep_alive_of
from sandbox.index_face.targets import targets

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.points import Points

OPENS = (
    "keep_alive", "routing", "preference", "allow_partial_pit_creation", "ignore_unavailable", "expand_wildcards",
)  # fmt: skip


class PITs:
    def __init__(self, catalog: Catalog, points: Points) -> None:
        self._catalog, self._points = catalog, points

    def open(self, call: Call, expression: str) -> Answer:
        call.check_params(*OPENS)
        keep_alive = keep_alive_of(call.params.get("keep_alive"))
        routing, preference = call.params.get("routing"), call.params.get("preference")
        point = self._points.open(targets(self._catalog, expression, routing, preference), keep_alive)
        shards = {"total": len(point.targets), "successful": len(point.targets), "skipped": 0, "failed": 0}
        return Answer(200, {"pit_id": point.id, "_shards": shards, "creation_time": point.created_ms})

    def all(self, call: Call) -> Answer:
        call.check_params()
        shown = [
            {"pit_id": point.id, "creation_time": point.created_ms, "keep_alive": int(point.keep_alive * 1000)}
            for point in self._points.all()
        ]
        return Answer(200, {"pits": shown})

    def close(self, call: Call) -> Answer:
        call.check_params()
        given: Any = call.body().get("pit_id")
        if not given:
            raise invalid_request("no pit ids specified")
        return self._closed(given if isinstance(given, list) else [given])

    def close_all(self, call: Call) -> Answer:
        call.check_params()
        return self._closed([point.id for point in self._points.all()])

    def _closed(self, ids: list[str]) -> Answer:
        """An id that is over already is answered alike."""
        for id_ in ids:
            self._points.close(id_)
        return Answer(200, {"pits": [{"successful": True, "pit_id": id_} for id_ in ids]})
