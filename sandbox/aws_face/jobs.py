"""The life of a SageMaker or Bedrock job: how far its work is, and the only place where its status moves on.

A stored job is {"public": the job as the API shows it, "work": how far the worker is}. The worker writes only `work`,
and its results beside the state. `look` moves `public` as far as the pace allows, and with the last step puts the
results into the bucket, so that a job stopped before its last step leaves no results.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.aws_face import late
from sandbox.backlog import Stopped

if TYPE_CHECKING:
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

Document = dict[str, Any]


class Life(Protocol):
    """What a service's jobs have of their own."""

    kind: str

    def way(self, work: Document) -> list[str]:
        """The phases it will pass, the last one final."""

    def possible(self, work: Document) -> int:
        """How far along the way it may be shown while the worker is not done."""

    def enter(self, public: Document, work: Document, phase: str, now: float) -> None:
        """Show the phase."""

    def no_output(self, work: Document, bucket: str) -> None:
        """The output bucket is gone, or may not be written: note why the job failed."""


def new_work(faults: dict[str, dict[str, Any]]) -> Document:
    return {
        "made_at": time.time(),
        "began_at": None,
        "reads": 0,
        "faults": faults,
        "run": 0,
        "ready": False,
        "done": False,
        "outcome": None,
        "reason": None,
        "stop": None,
        "entered": [],
        "final": False,
        "published": False,
        "outputs": [],
        "counts": {},
    }


class Jobs:
    """Those of one service."""

    def __init__(self, box: Box, objects: Objects, life: Life) -> None:
        self.box, self.objects, self.life = box, objects, life
        # Held over every change that decides what a job ends as: create, stop and the last step.
        self.deciding = threading.RLock()

    def put(self, id: str, public: Document, work: Document) -> Document:
        first = self.life.way(work)[0]
        work["entered"].append(first)
        self.life.enter(public, work, first, work["made_at"])
        return self.box.state.put(self.life.kind, id, {"public": public, "work": work}).body

    def get(self, id: str) -> Document | None:
        stored = self.box.state.get(self.life.kind, id)
        return stored.body if stored else None

    def ids(self) -> list[str]:
        """Oldest first."""
        return [stored.id for stored in self.box.state.all(self.life.kind)]

    def look(self, id: str, *, counts: bool) -> Document | None:
        """The job as it is now; `counts`: this is a status read, which `polls:N` goes by."""
        if counts:
            self.box.state.update(self.life.kind, id, lambda body: body["work"].update(reads=body["work"]["reads"] + 1))
        body = self.get(id)
        if body is None or body["work"]["final"]:
            return body
        with self.deciding:
            body = self.get(id)
            if body is not None and self._is_over(body["work"]) and not body["work"]["published"]:
                self._publish(id, dict(body["work"]))
            stored = self.box.state.update(self.life.kind, id, self._advance)
        return stored.body if stored else None

    def tell(self, id: str, run: int, **known: Any) -> None:
        """What the worker knows now; raises Stopped if the run it belongs to counts no more."""
        counted = False

        def change(body: Document) -> None:
            nonlocal counted
            counted = body["work"]["run"] == run
            if counted:
                body["work"].update(known)

        self.box.state.update(self.life.kind, id, change)
        if not counted:
            raise Stopped

    def change(self, id: str, **known: Any) -> None:
        self.box.state.update(self.life.kind, id, lambda body: body["work"].update(known))

    def _publish(self, id: str, work: Document) -> None:
        for output in work["outputs"]:
            try:
                if output.get("denied"):
                    raise KeyError(output["bucket"])
                if path := late.ordered(self.box, output, work["faults"]):
                    self.objects.write(output["bucket"], output["key"], path)
            except KeyError:
                self.life.no_output(work, output["bucket"])
                break
        self.change(id, published=True, outcome=work["outcome"], reason=work["reason"])
        for output in work["outputs"]:
            if not late.is_kept(self.box, output):
                (self.box.state.work / output["file"]).unlink(missing_ok=True)

    def _steps(self, work: Document, way: list[str]) -> int:
        since = work["stop"] or {"at": work["made_at"], "reads": 0}
        due = self.box.pace.steps(work["reads"] - since["reads"], time.time() - since["at"], len(way) - 1)
        return due if work["done"] else min(due, self.life.possible(work))

    def _is_over(self, work: Document) -> bool:
        way = self.life.way(work)
        return bool(work["done"]) and self._steps(work, way) == len(way) - 1

    def _advance(self, body: Document) -> None:
        public, work = body["public"], body["work"]
        way = self.life.way(work)
        if work["final"]:
            return
        # The worker may have come to its end since it was last looked for results to publish.
        most = len(way) if work["published"] else len(way) - 1
        for phase in way[: min(self._steps(work, way) + 1, most)]:
            if phase not in work["entered"]:
                work["entered"].append(phase)
                self.life.enter(public, work, phase, time.time())
        work["final"] = work["entered"][-1] == way[-1]
