"""Settling: how long jobs that are said to have ended have named no file of answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.jobs import Job, RemoteJob

SETTLE_SECONDS = 900.0
"""So long a job may name no file of the rows it says are answered; longer is an error."""


class Settling:
    """Of the jobs of a wait, from the first look that found a job settling. `now` gives seconds, of the same clock as
    those in `noted`.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, noted: object = None) -> None:
        self._now = now
        known = noted if isinstance(noted, dict) else {}
        self._since: dict[str, float] = {job_id: float(since) for job_id, since in known.items()}

    def noted(self) -> dict[str, float]:
        """Return the notes as JSON values, for `Settling(now, noted)`."""
        return dict(self._since)

    def note(self, job: Job, remote: RemoteJob) -> None:
        """Raise UnknownAnswer for a job that has named no file for SETTLE_SECONDS."""
        if remote.state != "settling":
            self._since.pop(job.provider_job_id, None)
            return
        since = self._since.setdefault(job.provider_job_id, self._now())
        if self._now() - since > SETTLE_SECONDS:
            raise UnknownAnswer(
                f"{job.name}: the provider says {remote.status}, {remote.requests_done} of {remote.requests_total} "
                f"requests answered, and has named no file of answers for {SETTLE_SECONDS / 60:.0f} minutes. Nothing "
                "was sent again: look at the job at the provider, and clear this task when its files are there"
            )
