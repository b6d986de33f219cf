"""BatchTrigger: one wait for a whole bundle, in the triggerer. Killed and restarted at any line, the wait goes on from
the trigger's arguments.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch import providers
from opensearch_batch.flow.jobs import Job
from opensearch_batch.tasks.ending_trigger import EndingTrigger
from opensearch_batch.tasks.gauges import JOBS_IN_FLIGHT
from opensearch_batch.tasks.stored_trigger import VERSION
from opensearch_batch.tasks.waiting_note import WaitingNote
from opensearch_batch.wait.job_list import AskJobList, JobList, job_list_of
from opensearch_batch.wait.looking import Ask
from opensearch_batch.wait.pacing import pause_seconds
from opensearch_batch.wait.waiting import SEVERAL, Wait

FRESH = 0.75
"""A walk of the list serves a wait if the walk is no older than this much of the wait's pause. Below 0.8, the least
that chance leaves of a pause: no wait gets the same walk twice.
"""


class BatchTrigger(EndingTrigger):
    """Polls until every job has ended or `deadline` (epoch seconds) has passed. The event has {"outcomes": […],
    "waited_seconds"} or {"timed_out": True, "progress": text}.

    `told` has the lines already in the task's log, `since` (epoch seconds; default: now) is the wait's begin.

    From SEVERAL jobs on the wait walks the provider's list, once for all long waits in this process; a job then gets a
    look when the list shows the job's end, when the list does not show the job, and in turn.
    """

    PATH = "opensearch_batch.trigger.BatchTrigger"
    ARGUMENTS = (
        "jobs",
        "provider",
        "opensearch_conn_id",
        "provider_conn_id",
        "poll_seconds",
        "deadline",
        "cancel_on_kill",
        "told",
        "since",
        "credential_conn_ids",
    )

    def __init__(
        self,
        *,
        jobs: list[dict[str, Any]],
        provider: str,
        opensearch_conn_id: str,
        provider_conn_id: str,
        poll_seconds: float,
        deadline: float,
        cancel_on_kill: bool = True,
        told: list[str] | None = None,
        since: float | None = None,
        credential_conn_ids: list[str] | None = None,
        version: int = VERSION,
    ) -> None:
        super().__init__(version)
        self.jobs = jobs
        self.provider = provider
        self.opensearch_conn_id = opensearch_conn_id
        self.provider_conn_id = provider_conn_id
        self.poll_seconds = poll_seconds
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.told = told or []
        self.since = time.time() if since is None else since
        self.credential_conn_ids = credential_conn_ids or []

    @property
    def submitted(self) -> list[Job]:
        return [Job.from_dict(job) for job in self.jobs]

    async def wait(self) -> dict[str, Any]:
        async with self._asking() as ask:
            return await self._wait(ask)

    async def _wait(self, ask: Callable[[Ask | AskJobList], Awaitable[Any]]) -> dict[str, Any]:
        jobs, pause = self.submitted, self.poll_seconds
        with ExitStack() as stack:
            job_list = await self._job_list([job.provider_job_id for job in jobs], stack)
            wait = Wait(jobs, providers.get(self.provider), ask, self.log.log, set(self.told), job_list)
            waiting = WaitingNote(self.task_instance)
            in_flight = stack.enter_context(JOBS_IN_FLIGHT.joined(self.task_instance, self.provider))
            while True:
                progress = await wait.look(time.time(), FRESH * pause)
                in_flight(sum(not job.shared_with for job in wait.left))
                now = time.time()
                if (outcomes := wait.outcomes) is not None:
                    told = [each.to_dict() for each in outcomes]
                    return {"outcomes": told, "waited_seconds": round(now - self.since, 1)}
                if now >= self.deadline:
                    return {"timed_out": True, "progress": str(progress)}
                wait.tell(progress, now)
                await waiting.note(wait.looked(progress, now))
                pause = pause_seconds(self.poll_seconds, now - self.since, progress.seconds_left)
                await asyncio.sleep(max(0.05, min(pause * random.uniform(0.8, 1.2), self.deadline - now)))

    async def _job_list(self, ids: list[str], stack: ExitStack) -> JobList | None:
        """Return the job list shared by all waits at the same server with the same key; None where sharing is not worth
        while, or where Airflow does not have the connection: the cluster may be able to answer alone.
        """
        if len(ids) < SEVERAL:
            return None
        try:
            connection = await BaseHook.aget_connection(self.provider_conn_id)
        except AirflowNotFoundException:
            return None
        key = (self.provider, hashlib.sha256(connection.get_uri().encode()).hexdigest())
        return stack.enter_context(job_list_of(key, ids))
