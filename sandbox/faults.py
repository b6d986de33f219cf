"""Trouble on order: what `/_sandbox/faults` was asked for, kept on disk until it is used up or cleared."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.cluster_trouble import TROUBLES
from sandbox.ids import opensearch_id
from sandbox.odd_answers import BODIES, JOB_FIELDS
from sandbox.odd_lines import ROW_SHAPES, TEXT_SHAPES, VECTOR_SHAPES

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from sandbox.state import State

KIND = "fault"

CALL = frozenset({"method", "path"})
ROWS = frozenset({"count"})


@dataclass(frozen=True)
class Kind:
    """A kind of trouble: what it does, which parameters an order may have and which it must have, and how often it
    happens unless told otherwise (-1: until it is cleared). `of_a_job`: it is ordered for the next job that is made.
    """

    does: str
    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    times: int = 1
    of_a_job: bool = False
    path: str | None = None
    """Of the calls it happens to, unless the order names another."""


LISTS = r"^/v1/(files|batches|datasets|embed-jobs)$|^/aws(/|$)"
SIZES = r"^/v1/(files|datasets)|^/aws/"


def _job(does: str, takes: frozenset[str] = frozenset(), needs: frozenset[str] = frozenset()) -> Kind:
    return Kind(does, takes, needs, of_a_job=True)


def _words(shapes: Iterable[str]) -> str:
    *most, last = (f"`{shape}`" for shape in shapes)
    return f"{', '.join(most)} or {last}"


SHAPES: dict[str, Collection[str]] = {
    "odd_rows": ROW_SHAPES,
    "odd_vectors": VECTOR_SHAPES,
    "odd_texts": TEXT_SHAPES,
    "odd_body": BODIES,
    "odd_job": JOB_FIELDS,
}
"""What `as` may be."""


KINDS: dict[str, Kind] = {
    "answer": Kind(
        "The call gets this `status` (500), `body` and `headers`, and does nothing.",
        CALL | {"status", "body", "headers", "every"},
    ),
    "lost_answer": Kind("The call does what it should, and the connection breaks before the answer.", CALL),
    "late_accept": Kind(
        "The connection breaks at once, and the call does what it should so many `seconds` later.",
        CALL | {"seconds"},
        frozenset({"seconds"}),
    ),
    "delay": Kind("The call waits so many `seconds` first.", CALL | {"seconds"}, frozenset({"seconds"})),
    "hold": Kind("The call waits until faults are cleared.", CALL),
    "down": Kind(
        "Calls to this `face` find no one: the connection breaks. With `seconds`, for so long.",
        frozenset({"face", "seconds"}),
        frozenset({"face"}),
        times=-1,
    ),
    "list_lag": Kind(
        "A list leaves out what is younger than so many `seconds`.", frozenset({"seconds"}), frozenset({"seconds"})
    ),
    "lose_row": _job("So many (1) answered rows are left out of the job's results, and of what it says is done.", ROWS),
    "duplicate_row": _job("So many (1) answered rows come twice.", ROWS),
    "foreign_row": _job("So many (1) rows come that nobody asked for.", ROWS),
    "cut_row": _job("So many (1) lines of the results break off in the middle.", ROWS),
    "fail_rows": _job(
        "The first `count` (1) rows, or those with these `ids`, fail with this `code`, `message` and `status_code`.",
        frozenset({"count", "ids", "code", "message", "status_code"}),
    ),
    "all_rows_fail": _job("Every row of the job fails, likewise.", frozenset({"code", "message", "status_code"})),
    "reorder": _job("The results come in another order, over the whole file."),
    "fail_batch": _job(
        "The job is accepted and then fails as a whole.", frozenset({"code", "message", "line", "param"})
    ),
    "expire": _job("The job expires when this `fraction` (0.5) of its rows is answered.", frozenset({"fraction"})),
    "cancel": _job("The job is cancelled at the provider, likewise.", frozenset({"fraction"})),
    "cut_download": Kind(
        "A download breaks off after so many bytes.", frozenset({"after_bytes"}), frozenset({"after_bytes"})
    ),
    "slow_download": Kind(
        "A download goes no faster than this.", frozenset({"bytes_per_second"}), frozenset({"bytes_per_second"})
    ),
    "min_records": Kind(
        "Bedrock takes jobs of so many records, instead of 100, or more.", ROWS, frozenset({"count"}), times=-1
    ),
    "deny": Kind("AWS refuses the call for want of a permission, in the service's words.", CALL | {"every"}),
    "expire_credentials": Kind("All temporary AWS keys given out so far have ended."),
    "odd_rows": _job(
        "The first `count` (1) rows come as servers have them on a bad day, `as` " + _words(ROW_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "odd_vectors": _job(
        "The vectors of the first `count` (all) lines of the results are `as` " + _words(VECTOR_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "odd_texts": _job(
        "The texts of the first `count` (all) lines of the results come `as` " + _words(TEXT_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "id_later": _job(
        "The job has ended, and names no file of its results in so many (1) status reads more.", frozenset({"reads"})
    ),
    "file_later": _job(
        "The files of the job's results are not found the first times (1) that they are asked for; -1: never.",
        frozenset({"reads"}),
    ),
    "rows_later": _job(
        "So many (1) last rows are not in the job's results the first times (1) that they are read; -1: never.",
        frozenset({"count", "reads"}),
    ),
    "refuse_file": _job(
        "A file of the job is refused with this `status` (404): `which` output (the answers) or error (what lies "
        "beside them: the file of refused rows, or Bedrock's manifest).",
        frozenset({"which", "status"}),
        frozenset({"which"}),
    ),
    "odd_body": Kind(
        "The call does what it should, and its answer of 200 is `as` " + _words(BODIES) + ".",
        CALL | {"as", "every"},
        frozenset({"as"}),
    ),
    "change_answer": Kind(
        "In the JSON of an answer the fields at these paths (`data.*.bytes`) are left out (`drop`, a list) or have "
        "other values (`set`, by path).",
        CALL | {"drop", "set", "every"},
    ),
    "odd_job": Kind(
        "What only informs in a job, alone or in a list, is `as` " + _words(JOB_FIELDS) + ".",
        CALL | {"as", "every"},
        frozenset({"as"}),
    ),
    "wrong_size": Kind(
        "Files say that they have this `size` (a number, null or absent): where they are uploaded, looked at, listed.",
        CALL | {"size", "every"},
        frozenset({"size"}),
        path=SIZES,
    ),
    "null_entry": Kind("A list begins with an entry that is null but for its id.", CALL | {"every"}, path=LISTS),
    "no_has_more": Kind("A list does not say whether there is more.", CALL | {"every"}, path=LISTS),
    "repeat_page": Kind(
        "A list gives its first page again and again, and says that there is more.", CALL, times=-1, path=LISTS
    ),
    "refuse_key": Kind(
        "A key that is right is refused, for so many calls (`times`) or `seconds`.", CALL | {"seconds", "status"}
    ),
    "gzip_download": Kind("A download comes compressed, where the client takes gzip.", CALL),
    "deploy_fail": Kind("The next deployment ends as DEPLOY_FAILED."),
    "deploy_partial": Kind("The next deployment ends as PARTIALLY_DEPLOYED."),
    **{name: Kind(trouble.does, CALL | {"every"}) for name, trouble in TROUBLES.items()},
}
BATCH_FAULTS = tuple(name for name, kind in KINDS.items() if kind.of_a_job)
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
    for key in ("seconds", "fraction", "after_bytes", "bytes_per_second", "count", "status", "every", "reads"):
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
