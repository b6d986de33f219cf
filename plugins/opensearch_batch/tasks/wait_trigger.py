"""BatchTrigger: one wait for a whole bundle, in the triggerer. Killed and restarted at any line, the wait goes on from
the trigger's arguments.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, KeyExpired
from opensearch_batch.flow.jobs import Job
from opensearch_batch.foreign_errors import without_keys
from opensearch_batch.tasks.gauges import JOBS_IN_FLIGHT
from opensearch_batch.tasks.stored_trigger import VERSION, StoredTrigger
from opensearch_batch.tasks.waiting_note import WaitingNote
from opensearch_batch.wait.job_list import AskJobList, JobList, job_list_of
from opensearch_batch.wait.looking import Ask, AskCluster, adrive, cancel_running
from opensearch_batch.wait.pacing import pause_seconds
from opensearch_batch.wait.refusals import is_refused_key
from opensearch_batch.wait.waiting import AT_ONCE, SEVERAL, Wait

FRESH = 0.75
"""A walk of the list serves a wait if the walk is no older than this much of the wait's pause. Below 0.8, the least
that chance leaves of a pause: no wait gets the same walk twice.
"""

_THREADS = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="opensearch-batch")
"""Threads for the provider's SDK, apart from the event loop's threads, where all triggers look up host names."""

_CANCELLING: set[asyncio.Task[None]] = set()
_ENDED_BY_A_PERSON = frozenset({"failed", "success", "skipped", "upstream_failed", "removed"})


class BatchTrigger(StoredTrigger):
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
    CONNECTIONS = ("provider_conn_id", "opensearch_conn_id", "credential_conn_ids")

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

    async def wait(self) -> dict[str, Any]:
        async with self._asking() as ask:
            return await self._wait(ask)

    async def _wait(self, ask: Callable[[Ask | AskJobList], Awaitable[Any]]) -> dict[str, Any]:
        jobs, pause = [Job.from_dict(job) for job in self.jobs], self.poll_seconds
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

    async def on_kill(self) -> None:
        """Cancel the jobs if a person ended the task. Also called for a clear, and when the wait moves to another
        triggerer.

        Airflow 3.3 cancels this coroutine after about a second, so the work runs in a task of its own.
        """
        if not self.cancel_on_kill:
            return
        work = asyncio.create_task(self._cancel_if_ended())
        _CANCELLING.add(work)
        work.add_done_callback(_CANCELLING.discard)
        await asyncio.shield(work)

    async def _cancel_if_ended(self) -> None:
        """Cancel only where a person ended the wait; where the wait's end has no known cause, the jobs are left
        running.
        """
        jobs = [Job.from_dict(job) for job in self.jobs]
        try:
            state = await self._task_state()
            if state not in _ENDED_BY_A_PERSON:
                self.log.info("the task is %s: its jobs are left running", state)
                return
            async with self._asking() as ask:
                for job in jobs:
                    if not job.shared_with:  # only the run that has paid for it ends it
                        await self._cancel(job, ask)
        except Exception as error:
            names = ", ".join(job.provider_job_id for job in jobs)
            self.log.error("could not cancel %s", names, exc_info=without_keys(error))

    async def _cancel(self, job: Job, ask: Callable[[Ask], Awaitable[Any]]) -> None:
        told: set[str] = set()
        try:
            if await adrive(cancel_running(job, providers.get(self.provider), told), ask) is None:
                self.log.info("cancelled %s, because its task was ended by hand", job.name)
        except BatchError as error:
            self.log.warning("could not cancel %s: %s", job.name, error)

    async def _task_state(self) -> str | None:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
        from asgiref.sync import sync_to_async

        ti = self.task_instance
        if ti is None:
            return None
        index = ti.map_index if ti.map_index is not None else -1
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=index
        )
        state = states.get(ti.run_id, {}).get(ti.task_id if index < 0 else f"{ti.task_id}_{index}")
        return state if state is None else str(state)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Callable[[Ask | AskJobList], Awaitable[Any]]]:
        """Ask the cluster over the async client, and the provider in a thread, with the SDK that workers use."""
        from opensearch_batch.cluster.hook import MLCommonsAsyncHook
        from opensearch_batch.providers.store import ProviderStore, open_store

        opened: list[ProviderStore] = []

        async def ask(step: Ask | AskJobList) -> Any:
            if isinstance(step, AskCluster):
                return await send(step.call)
            if not opened:
                connection = await BaseHook.aget_connection(self.provider_conn_id)
                opened.append(await _in_thread(open_store, providers.get(self.provider), connection))
            store = opened[0]
            try:
                if isinstance(step, AskJobList):
                    return await _in_thread(store.list_jobs, step.ids, step.most_pages, step.since)
                return await _in_thread(store.cancel_job if step.cancel else store.get_job, step.job_id)
            except BatchError as error:
                # A wait may be longer than a key lasts: the next look reads the connection anew.
                if isinstance(error, KeyExpired) or is_refused_key(error):
                    opened.clear()
                raise

        async with MLCommonsAsyncHook(self.opensearch_conn_id).sender() as send:
            yield ask


async def _in_thread(act: Callable[..., Any], *arguments: Any) -> Any:
    """asyncio.to_thread with threads of our own; log lines keep their task."""
    run = contextvars.copy_context().run
    return await asyncio.get_running_loop().run_in_executor(_THREADS, run, act, *arguments)
