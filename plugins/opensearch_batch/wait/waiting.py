"""Waiting for a bundle: which of its jobs to look at, what became of them, and what to say of it. No Airflow, no clock
of its own; whoever waits asks, pauses and ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.errors import BatchError, Throttled, Transient
from opensearch_batch.flow.jobs import Job, RemoteJob, ended, outcome, progress
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.wait.job_list import BLIND, AskList, Roster
from opensearch_batch.wait.looking import Ask, Asking, adrive, confirm, look
from opensearch_batch.wait.progress import Headway, Track

AT_ONCE = 8
"""Jobs of a bundle looked at side by side."""

SEVERAL = 3
"""From so many jobs on the provider's list answers for them together."""

TOLD_EVERY_SECONDS = 300
"""How far the bundle is, is logged when it changes and no more often than this."""

SIGN_OF_LIFE_SECONDS = 3600
"""It is logged at least this often."""


@dataclass
class Wait:
    """`told` is what was said before, `roster` None where jobs are looked at singly. `log` takes a level and text."""

    jobs: list[Job]
    vendor: Provider
    ask: Callable[[Ask | AskList], Awaitable[Any]]
    log: Callable[[int, str], object]
    told: set[str] = field(default_factory=set)
    roster: Roster | None = None

    def __post_init__(self) -> None:
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._track = Track(self.jobs)
        self._said: dict[str, tuple[str, float]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._turns = deque(job.provider_job_id for job in self.jobs)

    @property
    def outcomes(self) -> list[dict[str, Any]] | None:
        """Outcomes as dicts in the order of the jobs, once all have ended."""
        if len(self._outcomes) < len(self.jobs):
            return None
        return [self._outcomes[job.provider_job_id] for job in self.jobs]

    async def look(self, now: float, fresh_seconds: float) -> Headway:
        """One look at every job that has not ended; a walk of the list begun less than `fresh_seconds` ago will do.

        Raise what no later look can mend; a job whose look failed for a passing reason counts as not ended.
        """
        left = [job for job in self.jobs if job.provider_job_id not in self._outcomes]
        looks = [self._look_at(job, asking) for job, asking in await self._singly(left, now, fresh_seconds)]
        for failure in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        return self._track.at(now)

    def tell(self, headway: Headway, now: float) -> None:
        text = str(headway)
        before, at = self._said.get("headway", ("", 0.0))
        if now - at >= (SIGN_OF_LIFE_SECONDS if text == before else TOLD_EVERY_SECONDS):
            self._said["headway"] = (text, now)
            self.log(logging.INFO, text)

    async def _singly(self, left: list[Job], now: float, fresh_seconds: float) -> list[tuple[Job, Asking]]:
        """Which jobs to look at singly, and how; what the list says of the others is noted.

        An end that the list shows only counts once it has been looked at: the Outcome is that of the single look, and
        the cluster's record becomes true. What the list does not show is looked at, and of what it shows as running
        one job, in turn.
        """
        if self.roster is None or len(left) < SEVERAL:
            return [(job, look(job, self.vendor, self.told)) for job in left]
        ids = frozenset(job.provider_job_id for job in left)
        listing = await self.roster.listing(ids, self.ask, fresh_seconds)
        if listing.error:
            self._say_list(listing.error, now)
            passing = isinstance(listing.error, Throttled) or listing.failures < BLIND
            if isinstance(listing.error, Transient) and passing:
                return []
            return [(job, look(job, self.vendor, self.told)) for job in left]
        singly, running = [], {}
        for job in left:
            document = listing.found.get(job.provider_job_id)
            listed = self.vendor.read_job(document) if document else None
            if listed is None:
                singly.append((job, look(job, self.vendor, self.told)))
            elif ended(listed):
                singly.append((job, confirm(job, self.vendor, self.told)))
            else:
                running[job.provider_job_id] = (job, listed)
        if running:
            job, _ = running.pop(self._next_of(running))
            singly.append((job, look(job, self.vendor, self.told)))
        for job, listed in running.values():
            self._note(job, listed)
        return singly

    def _next_of(self, ids: Collection[str]) -> str:
        """Whose turn it is to be looked at singly: a list that stands still must not hold the wait."""
        id = next(id for id in self._turns if id in ids)
        self._turns.remove(id)
        self._turns.append(id)
        return id

    async def _look_at(self, job: Job, asking: Asking) -> None:
        async with self._slots:
            try:
                remote = await adrive(asking, self.ask)
            except Transient as error:
                text = f"no answer, trying again: {error}"
                self._say(job, text, text, logging.WARNING)
                return
        assert remote is not None
        self._note(job, remote)

    def _note(self, job: Job, remote: RemoteJob) -> None:
        self._say(job, remote.status, progress(remote))
        self._track.note(job, remote)
        if self.roster and remote.created_at:
            self.roster.made(job.provider_job_id, remote.created_at)
        if ended(remote):
            self._outcomes[job.provider_job_id] = outcome(job, remote).to_dict()
            if self.roster:
                self.roster.ended(job.provider_job_id)

    def _say(self, job: Job, kind: str, text: str, level: int = logging.INFO) -> None:
        """When its `kind` changes; how many rows are done is said of the whole bundle."""
        if self._said.get(job.provider_job_id, ("", 0.0))[0] != kind:
            self._said[job.provider_job_id] = (kind, 0.0)
            self.log(level, f"{job.name}: {text}")

    def _say_list(self, error: BatchError, now: float) -> None:
        before, at = self._said.get("list", ("", 0.0))
        if str(error) != before or now - at > TOLD_EVERY_SECONDS:
            self._said["list"] = (str(error), now)
            self.log(logging.WARNING, f"no list of jobs from the provider: {error}")
