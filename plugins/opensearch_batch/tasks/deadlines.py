"""Deadlines: until when a wait for jobs goes on, kept over the tries of its task in the task's memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Protocol

from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.note import Memory
from opensearch_batch.tasks.settings import TaskSettings
from opensearch_batch.wait.finishing import END_SECONDS

MORE_THAN_THE_WINDOW_HOURS = 1.0


class Notes(Memory, Protocol):
    """A Memory that also forgets."""

    def delete(self, key: str) -> None: ...


def timeout_hours(settings: TaskSettings) -> float:
    """The spec's; else the hours in which the provider ends such a job, and one more."""
    named = settings.spec.wait.timeout_hours if settings.spec else None
    return named or settings.provider.window_hours(settings.job or {}) + MORE_THAN_THE_WINDOW_HOURS


def wait_key(kind: str, jobs: Sequence[Job]) -> str:
    """Name what a wait for these jobs notes."""
    ids = ",".join(sorted(job.provider_job_id for job in jobs))
    return f"{kind}-" + hashlib.sha256(ids.encode()).hexdigest()[:16]


class Deadlines:
    """Of the wait for `jobs`. All times are epoch seconds; `finish` is the moment of `wait.finish_by`, if any."""

    def __init__(self, memory: Notes, jobs: Sequence[Job]) -> None:
        self._memory = memory
        self._deadline, self._finishing = wait_key("deadline", jobs), wait_key("finishing", jobs)

    def until(self, timeout_seconds: float, finish: float | None) -> float:
        """Return the deadline, or `finish` where that comes before, or the last moment for the end of jobs that were
        cancelled then.
        """
        if (finishing := self._memory.get(self._finishing)) is not None:
            if (end := float(str(finishing)) + END_SECONDS) > time.time():
                return end
            self.forget_cancelled()  # of an earlier try: one look that fails does not end this one
        deadline = self.deadline(timeout_seconds)
        return deadline if finish is None else min(deadline, finish)

    def deadline(self, timeout_seconds: float) -> float:
        """A retry keeps the first deadline, a clear after the deadline gets a new deadline."""
        if (noted := self._noted) > time.time():
            return noted
        deadline = time.time() + timeout_seconds
        self._memory.set(self._deadline, deadline)
        return deadline

    def forget(self) -> None:
        """Let the next try have a deadline of its own."""
        self._memory.delete(self._deadline)

    def have_come_to(self, finish: float) -> bool:
        return finish <= max(self._noted, time.time())  # what the trigger waited for; its clock may be ahead of this

    @property
    def were_cancelled(self) -> bool:
        """Whether the end of jobs that were cancelled at `finish` is waited for."""
        return self._memory.get(self._finishing) is not None

    def note_cancelled(self) -> None:
        self._memory.set(self._finishing, time.time())

    def forget_cancelled(self) -> None:
        self._memory.delete(self._finishing)

    @property
    def _noted(self) -> float:
        return float(str(self._memory.get(self._deadline) or 0))
