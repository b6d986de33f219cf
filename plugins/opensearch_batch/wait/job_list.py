"""JobList: the provider's list of jobs, walked once for all waits of a process at the same server with the same key.

The list is a hint: the list may lag, and the cluster learns nothing from a walk. waiting.py says when a job gets a look
of its own besides.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.foreign_errors import without_keys

log = logging.getLogger(__name__)

BLIND = 3
"""After so many failed walks in a row every job gets a look of its own, as without a list."""


@dataclass(frozen=True)
class AskJobList:
    """Walk the provider's list of jobs, newest first, for `ids`.

    The walk ends with the last id found, after `most_pages`, or at jobs older than `since` (epoch seconds; None:
    unknown).
    """

    ids: frozenset[str]
    most_pages: int
    since: float | None


ListJobs = Callable[[AskJobList], Awaitable[Mapping[str, Mapping[str, Any]]]]


@dataclass(frozen=True)
class Walk:
    """A walk of the list, begun at `begun` (the JobList's clock): the provider's documents by job id, or the error and
    the number of failures in a row.
    """

    begun: float
    wanted: frozenset[str]
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: BatchError | None = None
    failures: int = 0


class JobList:
    """Belongs to a single event loop. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wanted: set[str] = set()
        self._made_at: dict[str, float] = {}
        self._last: Walk | None = None
        self._lock = asyncio.Lock()

    @contextmanager
    def following(self, ids: list[str]) -> Iterator[None]:
        """Have every walk look for the jobs `ids` too, until the block or the job ends."""
        self._wanted.update(ids)
        try:
            yield
        finally:
            for id in ids:
                self.ended(id)

    def ended(self, id: str) -> None:
        """Have no further walk look for the job."""
        self._wanted.discard(id)
        self._made_at.pop(id, None)

    def made(self, id: str, at: float) -> None:
        """Note when a job was made (epoch seconds): no walk goes further back than the oldest job."""
        if id in self._wanted:
            self._made_at[id] = at

    @property
    def empty(self) -> bool:
        return not self._wanted

    async def walk(self, ids: frozenset[str], list_jobs: ListJobs, fresh_seconds: float) -> Walk:
        """Return the latest walk if the walk looked for `ids` and began less than `fresh_seconds` ago, else walk anew.
        Wait for a walk under way.

        Raise nothing but cancellation: an error would end every wait that shares the walk.
        """
        async with self._lock:
            last = self._last
            if last is None or self._clock() - last.begun >= fresh_seconds or not ids <= last.wanted:
                last = self._last = await self._walk(list_jobs, ids, last)
            return last

    async def _walk(self, list_jobs: ListJobs, ids: frozenset[str], last: Walk | None) -> Walk:
        begun, wanted = self._clock(), ids | self._wanted
        try:
            found = await list_jobs(AskJobList(wanted, self._most_pages(wanted), self._since(wanted)))
        except BatchError as error:
            return Walk(begun, wanted, error=error, failures=last.failures + 1 if last else 1)
        except Exception as error:
            log.error("The provider's list of jobs could not be read", exc_info=without_keys(error))
            told = Unavailable(f"the list of jobs could not be read: {type(error).__name__}")
            return Walk(begun, wanted, error=told, failures=last.failures + 1 if last else 1)
        return Walk(begun, wanted, found)

    def _most_pages(self, wanted: frozenset[str]) -> int:
        """Bound a walk among many strangers' jobs by the looks saved."""
        return max(1, len(wanted) // 2)

    def _since(self, wanted: frozenset[str]) -> float | None:
        if not wanted <= self._made_at.keys():
            return None
        return min(self._made_at[id] for id in wanted)


_JOB_LISTS: dict[tuple[asyncio.AbstractEventLoop, Hashable], JobList] = {}


@contextmanager
def job_list_of(key: Hashable, ids: list[str]) -> Iterator[JobList]:
    """Share the job list among all waits of the event loop with the same key, until the last wait ends."""
    owner = (asyncio.get_running_loop(), key)
    job_list = _JOB_LISTS.setdefault(owner, JobList())
    try:
        with job_list.following(ids):
            yield job_list
    finally:
        if job_list.empty:
            _JOB_LISTS.pop(owner, None)
