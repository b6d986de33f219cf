"""Runs the jobs of a service one after the other in a thread; what a kill interrupted is run again from its start."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from sandbox.aws_face.jobs import Superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.jobs import Jobs

log = logging.getLogger(__name__)


class Worker:
    def __init__(self, jobs: Jobs, run: Callable[[str, int, Callable[[], None]], None], name: str) -> None:
        """`run` gets the job's id, the number of this run of it, and a check that raises Superseded when it is time to
        give up."""
        self._jobs, self._run_job, self._name = jobs, run, name
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._queue = queue.SimpleQueue()
        for id_ in self._jobs.ids():
            self._queue.put(id_)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def take(self, id: str) -> None:
        self._queue.put(id)

    def stop(self) -> None:
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (id_ := self._queue.get()) is not None and not self._stopping.is_set():
            body = self._jobs.get(id_)
            if body is None or body["work"]["done"]:
                continue
            run = body["work"]["run"]
            try:
                self._run_job(id_, run, lambda id_=id_, run=run: self._check(id_, run))  # type: ignore[misc]
            except Superseded:
                continue
            except Exception as error:
                log.exception("job %s: the sandbox itself failed", id_)
                reason = f"InternalServerError: the sandbox itself failed: {error!r}"
                self._jobs.change(id_, done=True, outcome="Failed", reason=reason, outputs=[])

    def _check(self, id: str, run: int) -> None:
        body = self._jobs.get(id)
        if self._stopping.is_set() or body is None or body["work"]["run"] != run:
            raise Superseded
