"""Vacancy: whether cluster and provider take one more job now, as far as the submissions of one stay have shown."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from opensearch_batch.errors import NoRoom, TaskLimit
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.admission import MustWait, wait_for_try
from opensearch_batch.submit.task_limit import CountedTasks

log = logging.getLogger(__name__)

ROOM = "room"
"""What a submission awaits where no job is taken beside those in flight."""


@dataclass(frozen=True)
class Vacancy:
    """Threads may share it. Once a submission found no room, no other of this stay is tried: each would be refused."""

    _full: threading.Event = field(default_factory=threading.Event)
    _freed: list[CountedTasks] = field(default_factory=list)
    _freeing: threading.Lock = field(default_factory=threading.Lock)

    def refuse_where_full(self, name: str, now: float) -> None:
        """Raise MustWait where a submission before has found no room."""
        if self._full.is_set():
            raise wait_for_try(name, ROOM, "another submission of its bundle found none", now)

    def take(
        self, name: str, submit: Callable[[], Job], free: Callable[[], CountedTasks], now: Callable[[], float]
    ) -> Job:
        """Submit; at the cluster's limit `free` places, and submit again where one came free. Raise MustWait where room
        may come by itself, TaskLimit where only a person makes room.
        """
        freed_before = len(self._freed)
        try:
            return submit()
        except TaskLimit as error:
            self._free(name, error, free, now, freed_before)
        except NoRoom as error:
            raise self._must_wait(name, str(error), now) from None
        try:
            return submit()
        except NoRoom as error:
            raise self._must_wait(name, str(error), now) from None

    def _free(
        self,
        name: str,
        error: TaskLimit,
        free: Callable[[], CountedTasks],
        now: Callable[[], float],
        freed_before: int,
    ) -> None:
        """Return where places came free, by this thread or by another one since this one's submission began."""
        with self._freeing:  # two looks at one task at once collide in the cluster
            if self._full.is_set():
                raise self._must_wait(name, str(error), now) from None
            if len(self._freed) > freed_before:
                return
            counted = free()
            if counted.freed:
                log.warning("%s: %s %s Submitting again.", name, error, counted)
                self._freed.append(counted)
                return
            self._full.set()
        if counted.none_comes_free:
            raise counted.refusal(name, error) from None
        raise self._must_wait(name, f"{error} {counted}", now) from None

    def _must_wait(self, name: str, why: str, now: Callable[[], float]) -> MustWait:
        self._full.set()
        return wait_for_try(name, ROOM, why, now())
