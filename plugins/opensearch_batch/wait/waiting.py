"""Wait: the jobs of a bundle to look at next, the Outcomes so far, the lines to log. No Airflow and no clock: the
caller asks, pauses and ends the wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.errors import BatchError, Throttled, Transient
from opensearch_batch.flow.jobs import Job, Outcome, RemoteJob, ended, outcome, status_line
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.wait.job_list import BLIND, AskJobList, JobList, Walk
from opensearch_batch.wait.looking import Ask, Asking, adrive, confirm, look
from opensearch_batch.wait.progress import Looked, Progress, Track
from opensearch_batch.wait.refusals import Refusals, patience
from opensearch_batch.wait.settling import Settling

AT_ONCE = 8
"""Jobs of a bundle looked at side by side."""

SEVERAL = 3
"""From so many jobs on the provider's list answers for the whole bundle."""

TOLD_EVERY_SECONDS = 300
"""The shortest time between two lines about the bundle's progress, written when the progress changes."""

THROTTLED_SECONDS = 900
"""A list that is refused for too many calls is asked again for so long; then each job gets a look of its own, and the
list has as long again.
"""

SIGN_OF_LIFE_SECONDS = 3600
"""The longest time between two lines about the bundle's progress."""


@dataclass
class Wait:
    """`told` has the kinds of lines logged before; `job_list` is None where every job gets a look of its own. `log`
    takes a level and text.
    """

    jobs: list[Job]
    vendor: Provider
    ask: Callable[[Ask | AskJobList], Awaitable[Any]]
    log: Callable[[int, str], object]
    told: set[str] = field(default_factory=set)
    job_list: JobList | None = None

    def __post_init__(self) -> None:
        self._settling = Settling()
        self._outcomes: dict[str, Outcome] = {}
        self._track = Track(self.jobs)
        self._said: dict[str, tuple[str, float]] = {}
        self._refusals = Refusals()
        self._listless_since: float | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._turns = deque(job.provider_job_id for job in self.jobs)

    @property
    def outcomes(self) -> list[Outcome] | None:
        """The Outcomes in the order of the jobs; None until all have ended."""
        if len(self._outcomes) < len(self.jobs):
            return None
        return [self._outcomes[job.provider_job_id] for job in self.jobs]

    @property
    def left(self) -> list[Job]:
        """The jobs without an end."""
        return [job for job in self.jobs if job.provider_job_id not in self._outcomes]

    async def look(self, now: float, fresh_seconds: float) -> Progress:
        """Look once at every job without an end, or use a walk of the list begun less than `fresh_seconds` ago.

        Raise errors that no later look can mend, a refused key only once the refusal has stood; after a passing error
        the job counts as not ended.
        """
        looks = [self._look_at(job, asking, now) for job, asking in await self._singly(self.left, now, fresh_seconds)]
        for failure in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        return self._track.at(now)

    def looked(self, progress: Progress, now: float) -> Looked:
        return Looked(now, progress, self._track.rows_done)

    def tell(self, progress: Progress, now: float) -> None:
        text = str(progress)
        before, at = self._said.get("progress", ("", 0.0))
        if now - at >= (SIGN_OF_LIFE_SECONDS if text == before else TOLD_EVERY_SECONDS):
            self._said["progress"] = (text, now)
            self.log(logging.INFO, text)

    async def _singly(self, left: list[Job], now: float, fresh_seconds: float) -> list[tuple[Job, Asking]]:
        """Return the jobs to look at singly, with the look; note the list's word on the rest.

        An end in the list counts only after a look at the job: the Outcome comes from the single look, and the look
        corrects the cluster's record. So it is with an end without files: a list may tell less of a job than a look.
        Jobs missing from the list get a look, and of the running jobs a single job, in turn.
        """
        if self.job_list is None or len(left) < SEVERAL:
            return [(job, look(job, self.vendor, self.told)) for job in left]
        ids = frozenset(job.provider_job_id for job in left)
        walk = await self.job_list.walk(ids, self.ask, fresh_seconds)
        if walk.error:
            self._say_list(walk.error, now)
            if isinstance(walk.error, Transient) and self._waits_for_list(walk, now):
                return []
            self._listless_since = None
            return [(job, look(job, self.vendor, self.told)) for job in left]
        self._listless_since = None
        singly, running = [], {}
        for job in left:
            listed = self._listed(walk.found.get(job.provider_job_id))
            if listed is None:
                singly.append((job, look(job, self.vendor, self.told)))
            elif ended(listed) or listed.state == "settling":
                singly.append((job, confirm(job, self.vendor, self.told)))
            else:
                running[job.provider_job_id] = (job, listed)
        if running:
            job, _ = running.pop(self._next_of(running))
            singly.append((job, look(job, self.vendor, self.told)))
        for job, listed in running.values():
            self._note(job, listed)
        return singly

    def _waits_for_list(self, walk: Walk, now: float) -> bool:
        """Tell whether the list is asked again before any job gets a look."""
        if not isinstance(walk.error, Throttled):
            return walk.failures < BLIND
        if self._listless_since is None:
            self._listless_since = now
        return now - self._listless_since < THROTTLED_SECONDS

    def _listed(self, document: Mapping[str, Any] | None) -> RemoteJob | None:
        """None also for a job that the list shows in a shape of its own: the job gets a look."""
        try:
            return self.vendor.read_job(document) if document else None
        except Transient:
            return None

    def _next_of(self, ids: Collection[str]) -> str:
        """Return the job whose turn has come for a single look: a list without change must not hold the wait."""
        id = next(id for id in self._turns if id in ids)
        self._turns.remove(id)
        self._turns.append(id)
        return id

    async def _look_at(self, job: Job, asking: Asking, now: float) -> None:
        async with self._slots:
            try:
                remote = await adrive(asking, self.ask)
            except Transient as error:
                text = f"no answer, trying again: {error}"
                self._say(job, text, text, logging.WARNING)
                return
            except BatchError as error:
                if self._refusals.is_final(job.provider_job_id, error, now):
                    raise
                self._say(job, "refused", patience(error), logging.WARNING)
                return
        assert remote is not None
        self._refusals.answered(job.provider_job_id)
        self._note(job, remote)

    def _note(self, job: Job, remote: RemoteJob) -> None:
        self._say(job, remote.status, status_line(remote))
        self._track.note(job, remote)
        if self.job_list and remote.created_at:
            self.job_list.made(job.provider_job_id, remote.created_at)
        self._settling.note(job, remote)
        if ended(remote):
            self._outcomes[job.provider_job_id] = outcome(job, remote, time.time())
            if self.job_list:
                self.job_list.ended(job.provider_job_id)

    def _say(self, job: Job, kind: str, text: str, level: int = logging.INFO) -> None:
        """Log a line about the job when `kind` changes; rows done are told for the whole bundle."""
        if self._said.get(job.provider_job_id, ("", 0.0))[0] != kind:
            self._said[job.provider_job_id] = (kind, 0.0)
            self.log(level, f"{job.name}: {text}")

    def _say_list(self, error: BatchError, now: float) -> None:
        before, at = self._said.get("list", ("", 0.0))
        if str(error) != before or now - at > TOLD_EVERY_SECONDS:
            self._said["list"] = (str(error), now)
            self.log(logging.WARNING, f"no list of jobs from the provider: {error}")
