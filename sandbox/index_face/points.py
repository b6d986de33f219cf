"""Points in time: what searches saw of an index at one moment. They end with the run, as on a real server."""

from __future__ import annotations

import base64
import binascii
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.index_face.errors import Problem, illegal_argument, invalid_request
from sandbox.index_face.failures import Failure, all_failed
from sandbox.index_face.settings import seconds

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.targets import Target

MAX_KEEP_ALIVE_SECONDS = 86_400
MAX_CONTEXTS = 300
REAPED_EVERY_SECONDS = 60
TOO_MANY = (
    f"Trying to create too many Point In Time contexts. Must be less than or equal to: [{MAX_CONTEXTS}]. This limit "
    "can be set by changing the [search.max_open_pit_context] setting."
)


@dataclass
class Point:
    """`kept` holds the last answers of queries: the next page of a walk is a step in them."""

    id: str
    targets: list[Target]
    created_ms: int
    keep_alive: float
    ends: float
    kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Past its time, and past the round that takes such ones away."""
        return time.time() > self.ends + REAPED_EVERY_SECONDS

    def renew(self, keep_alive: float | None) -> None:
        self.keep_alive = self.keep_alive if keep_alive is None else keep_alive
        self.ends = max(self.ends, time.time() + self.keep_alive)


class Points:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._open: dict[str, Point] = {}
        self._contexts = itertools.count(1)

    def clear(self) -> None:
        self._open.clear()

    def all(self) -> list[Point]:
        self._reap()
        return list(self._open.values())

    def open(self, targets: list[Target], keep_alive: float) -> Point:
        self._reap()
        if sum(len(point.targets) for point in self._open.values()) + len(targets) > MAX_CONTEXTS:
            problem = Problem(429, "rejected_execution_exception", TOO_MANY)
            raise all_failed([Failure.of(target, problem) for target in targets], "create_pit")
        held = [[target.index.name, target.index.uuid, target.number, next(self._contexts)] for target in targets]
        id_ = base64.urlsafe_b64encode(b"pit" + orjson.dumps(held)).decode()
        now = time.time()
        point = Point(id_, targets, int(now * 1000), keep_alive, now + keep_alive)
        self._open[id_] = point
        return point

    def find(self, id: str) -> Point:
        """Problem: it is over, was never one, or its index is gone."""
        held = _read(id)
        self._reap()
        for name, uuid, _, _ in held:
            if (there := self._catalog.by_name.get(name)) is None or there.uuid != uuid:
                more = {"index": name, "index_uuid": uuid}
                raise Problem(404, "index_not_found_exception", f"no such index [{name}]", more)
        if point := self._open.get(id):
            return point
        lost = []
        for name, _, number, context in held:
            words = f"No search context found for id [{context}]"
            lost.append(Failure(name, number, Problem(404, "search_context_missing_exception", words)))
        raise all_failed(lost, "query")

    def close(self, id: str) -> None:
        _read(id)
        self._open.pop(id, None)

    def lose(self, id: str) -> None:
        self._open.pop(id, None)

    def _reap(self) -> None:
        for id_ in [id_ for id_, point in self._open.items() if point.is_over]:
            del self._open[id_]


def _read(id: str) -> list[list[Any]]:
    try:
        raw = base64.urlsafe_b64decode(id)
        held = orjson.loads(raw[3:]) if raw[:3] == b"pit" else None
    except (binascii.Error, ValueError):
        held = None
    if not isinstance(held, list):
        caused_by = {"type": "e_o_f_exception", "reason": f"tried to read: {len(id)} bytes but only 0 remaining"}
        raise illegal_argument(f"invalid id: [{id}]", caused_by)
    return held


def keep_alive_of(given: str | None, name: str = "keep_alive") -> float:
    if given is None:
        raise invalid_request("keep alive not specified")
    words = f"failed to parse setting [{name}] with value [{given}] as a time value: unit is missing or unrecognized"
    found = seconds(given, lambda: illegal_argument(words))
    if found > MAX_KEEP_ALIVE_SECONDS:
        raise illegal_argument(
            f"Keep alive for request ({_days(found)}) is too large. It must be less than (1d). This limit can be set "
            "by changing the [point_in_time.max_keep_alive] cluster level setting."
        )
    return found


def _days(value: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if value % length == 0:
            return f"{int(value // length)}{unit}"
        if value > length:
            return f"{value / length:.1f}{unit}"
    return f"{int(value)}s"
