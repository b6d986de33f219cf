"""Runs the jobs of a service; what a kill interrupted is run again from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.backlog import Backlog, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.jobs import Jobs


class Worker:
    def __init__(self, jobs: Jobs, run: Callable[[str, int, Callable[[], None]], None], name: str) -> None:
        """`run` gets the job's id, the number of this run of it, and a check that raises Stopped when it is time to
        give up."""
        self._jobs, self._run_job = jobs, run
        self._backlog = Backlog(name, self._run, self._failed)
        self.take, self.stop = self._backlog.take, self._backlog.stop

    def start(self) -> None:
        self._backlog.start(self._jobs.ids())

    def _run(self, id: str) -> None:
        body = self._jobs.get(id)
        if body is None or body["work"]["done"]:
            return
        run = body["work"]["run"]
        self._run_job(id, run, lambda: self._check(id, run))

    def _failed(self, id: str, error: Exception) -> None:
        reason = f"InternalServerError: the sandbox itself failed: {error!r}"
        self._jobs.change(id, done=True, outcome="Failed", reason=reason, outputs=[])

    def _check(self, id: str, run: int) -> None:
        body = self._jobs.get(id)
        if self._backlog.stopping or body is None or body["work"]["run"] != run:
            raise Stopped
