"""Poking: looks at jobs from a worker, and what they have shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opensearch_batch.errors import BatchError, Transient
from opensearch_batch.flow.jobs import Job, Outcome, ended, outcome, status_line
from opensearch_batch.tasks.base import worker_ask
from opensearch_batch.tasks.deadlines import Notes, wait_key
from opensearch_batch.tasks.settings import TaskSettings
from opensearch_batch.wait.looking import drive, look
from opensearch_batch.wait.refusals import Refusals, patience
from opensearch_batch.wait.settling import Settling


class Looks:
    """What a task has seen of its jobs: the `outcomes` of those that have ended, by the provider's id. `log` is the
    task's own.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self.told: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}

    def look(self, jobs: Sequence[Job], settings: TaskSettings, memory: Notes) -> None:
        """Look once at each job that has not ended yet. After a look that fails for a passing reason, or at a key whose
        refusal has not stood yet, the job counts as not ended. The connections are read at every look.
        """
        ask = worker_ask(settings)
        refused, settles = wait_key("refusals", jobs), wait_key("settling", jobs)
        # Pokes may be processes of their own.
        refusals, settling = Refusals(memory.get(refused)), Settling(time.time, memory.get(settles))
        for job in jobs:
            if job.provider_job_id in self.outcomes:
                continue
            try:
                remote = drive(look(job, settings.provider, self.told), ask)
            except Transient as error:
                self._log.warning("%s: %s", job.name, error)
                continue
            except BatchError as error:
                if refusals.is_final(job.provider_job_id, error, time.time()):
                    memory.delete(refused)
                    raise
                self._log.warning("%s: %s", job.name, patience(error))
                continue
            refusals.answered(job.provider_job_id)
            assert remote is not None
            self._log.info("%s: %s", job.name, status_line(remote))
            settling.note(job, remote)
            if ended(remote):
                self.outcomes[job.provider_job_id] = outcome(job, remote, time.time())
        for key, noted in ((refused, refusals.noted()), (settles, settling.noted())):
            if noted or memory.get(key):
                memory.set(key, noted)
