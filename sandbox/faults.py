"""Trouble on order: what `/_sandbox/faults` was asked for, kept on disk until it is used up or cleared."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.cluster_trouble import TROUBLES
from sandbox.fault_kinds import BATCH_FAULTS, KINDS, SHAPES
from sandbox.ids import opensearch_id

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from sandbox.state import State

KIND = "fault"

FACES = {"openai": "/v1", "ml_commons": "/_plugins", "aws": "/aws", "cohere": "/v1/embed-jobs"}


def called(path: str, target: str) -> str:
    """The path that faults are matched with: some operations of AWS are named in X-Amz-Target alone."""
    return f"{path}#{target.rpartition('.')[2]}" if target else path


@dataclass(frozen=True)
class Fault:
    """`times` is how often it still happens, -1 is always; `seen` counts the calls that matched, for `every`."""

    id: str
    name: str
    times: int
    ordered_at: float
    params: dict[str, Any] = field(default_factory=dict)
    seen: int = 0

    def number(self, name: str, default: float) -> float:
        return float(self.params.get(name, default))

    def matches(self, method: str, path: str) -> bool:
        wanted = self.params.get("method")
        if wanted is not None and str(wanted).upper() != method:
            return False
        return re.search(str(self.params.get("path", "")), path) is not None

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "fault": self.name, "times": self.times, "ordered_at": self.ordered_at, **self.params}


def parse(order: object) -> tuple[str, int, dict[str, Any]]:
    """Name, times and parameters of an order; ValueError says what is wrong with it."""
    if not isinstance(order, dict):
        raise ValueError("a fault is a JSON object")
    params = dict(order)
    name = params.pop("fault", None)
    if name not in KINDS:
        raise ValueError(f"unknown fault {name!r}: one of {', '.join(sorted(KINDS))}")
    kind = KINDS[name]
    times = params.pop("times", kind.times)
    if not isinstance(times, int) or isinstance(times, bool) or times == 0 or times < -1:
        raise ValueError(f"{name}: times is a number above 0, or -1 for always")
    if unknown := set(params) - kind.takes:
        raise ValueError(f"{name}: unknown parameters {sorted(unknown)}; it takes {sorted(kind.takes)}")
    if missing := kind.needs - set(params):
        raise ValueError(f"{name}: needs {sorted(missing)}")
    if trouble := TROUBLES.get(name):
        params = {"method": trouble.method, "path": trouble.path} | params
    if kind.path:
        params = {"path": kind.path} | params
    if name in SHAPES and params["as"] not in SHAPES[name]:
        raise ValueError(f"{name}: as is one of {', '.join(SHAPES[name])}")
    if name == "refuse_file" and params["which"] not in ("output", "error"):
        raise ValueError("refuse_file: which is output or error")
    for key in ("seconds", "fraction", "after_bytes", "bytes_per_second", "count", "status", "every", "reads", "shard"):
        if key in params and (isinstance(params[key], bool) or not isinstance(params[key], int | float)):
            raise ValueError(f"{name}: {key} is a number")
    if params.get("every", 1) < 1:
        raise ValueError(f"{name}: every is a number from 1 on: each second, third, … call that matches")
    if "path" in params:
        try:
            re.compile(params["path"])
        except (re.error, TypeError) as error:
            raise ValueError(f"{name}: path is a regular expression: {error}") from error
    if name == "down" and params["face"] not in FACES:
        raise ValueError(f"down: face is one of {sorted(FACES)}")
    return name, times, params


class Faults:
    def __init__(self, state: State) -> None:
        self._state = state
        self._cleared = asyncio.Event()

    def order(self, order: object) -> Fault:
        name, times, params = parse(order)
        fault = Fault(opensearch_id(), name, times, time.time(), params)
        self._state.put(
            KIND, fault.id, {"name": name, "times": times, "ordered_at": fault.ordered_at, "params": params}
        )
        return fault

    def all(self) -> list[Fault]:
        return [Fault(id=stored.id, **stored.body) for stored in self._state.all(KIND)]

    def clear(self) -> None:
        """What is held goes on."""
        self._state.clear(KIND)
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def cleared(self) -> None:
        """Return when the faults are cleared next."""
        await self._cleared.wait()

    def take(self, name: str | Container[str], method: str = "", path: str = "") -> Fault | None:
        """The oldest ordered fault of this name that is due for the call; it counts as having happened."""
        names = (name,) if isinstance(name, str) else name
        for fault in self.all():
            if fault.name in names and fault.matches(method, path) and self._is_due(fault):
                if fault.name == "refuse_key" and self._is_past(fault):
                    continue
                self._happened(fault)
                return fault
        return None

    def take_each(self, names: Container[str], method: str, path: str) -> list[Fault]:
        """All of these that are due for the call, oldest first."""
        found = [each for each in self.all() if each.name in names and each.matches(method, path)]
        due = [fault for fault in found if self._is_due(fault)]
        for fault in due:
            self._happened(fault)
        return due

    def take_for_batch(self, names: Iterable[str] = BATCH_FAULTS) -> dict[str, dict[str, Any]]:
        """What the batch that is being created will suffer, by fault name; `names` are those that its vendor knows."""
        found = {name: self.take(name) for name in names}
        return {name: fault.params for name, fault in found.items() if fault is not None}

    def is_down(self, path: str) -> bool:
        for fault in self.all():
            if fault.name != "down" or not path.startswith(FACES[fault.params["face"]]):
                continue
            if self._is_past(fault):
                continue
            self._happened(fault)
            return True
        return False

    def _is_past(self, fault: Fault) -> bool:
        """Whether its seconds are over; then it is forgotten."""
        seconds = fault.params.get("seconds")
        past = seconds is not None and time.time() > fault.ordered_at + float(seconds)
        if past:
            self._state.delete(KIND, fault.id)
        return past

    def _is_due(self, fault: Fault) -> bool:
        every = int(fault.params.get("every", 1))
        if every == 1:
            return True
        self._state.update(KIND, fault.id, lambda body: body.update(seen=fault.seen + 1))
        return (fault.seen + 1) % every == 0

    def _happened(self, fault: Fault) -> None:
        if fault.times == -1:
            return
        if fault.times <= 1:
            self._state.delete(KIND, fault.id)
        else:
            self._state.update(KIND, fault.id, lambda body: body.update(times=fault.times - 1))
