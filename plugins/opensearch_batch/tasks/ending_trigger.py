"""EndingTrigger: the base of triggers that wait beside jobs which run, and cancel them when a person ends the task."""

from __future__ import annotations

import asyncio
import contextvars
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from airflow.sdk import BaseHook

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, KeyExpired
from opensearch_batch.flow.jobs import Job
from opensearch_batch.foreign_errors import without_keys
from opensearch_batch.tasks.stored_trigger import StoredTrigger
from opensearch_batch.wait.job_list import AskJobList
from opensearch_batch.wait.looking import Ask, AskCluster, adrive, cancel_running
from opensearch_batch.wait.refusals import is_refused_key
from opensearch_batch.wait.waiting import AT_ONCE

_THREADS = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="opensearch-batch")
"""Threads for the provider's SDK, apart from the event loop's threads, where all triggers look up host names."""

_CANCELLING: set[asyncio.Task[None]] = set()
_ENDED_BY_A_PERSON = frozenset({"failed", "success", "skipped", "upstream_failed", "removed"})


class EndingTrigger(StoredTrigger):
    """With `cancel_on_kill` False the jobs go on."""

    CONNECTIONS = ("provider_conn_id", "opensearch_conn_id", "credential_conn_ids")
    provider: str
    opensearch_conn_id: str
    provider_conn_id: str
    credential_conn_ids: list[str]
    cancel_on_kill: bool

    @property
    @abstractmethod
    def submitted(self) -> Sequence[Job]:
        """The jobs of the task; some may have ended, or be another run's."""

    async def on_kill(self) -> None:
        """Cancel the jobs if a person ended the task. Also called for a clear, and when the wait moves to another
        triggerer.

        Airflow 3.3 cancels this coroutine after about a second, so the work runs in a task of its own.
        """
        if not self.cancel_on_kill or not self.submitted:
            return
        work = asyncio.create_task(self._cancel_if_ended())
        _CANCELLING.add(work)
        work.add_done_callback(_CANCELLING.discard)
        await asyncio.shield(work)

    async def _cancel_if_ended(self) -> None:
        """Cancel only where a person ended the wait; where the wait's end has no known cause, or Airflow does not tell
        the cause, the jobs are left running.
        """
        jobs = self.submitted
        try:
            state = await self._task_state()
            if state not in _ENDED_BY_A_PERSON:
                self.log.info("the task is %s: its jobs are left running", state)
                return
            if state == "success" and await self._ended_by_itself():
                self.log.info("the task has succeeded by itself: its jobs are left running")
                return
            async with self._asking() as ask:
                for job in jobs:
                    if not job.shared_with:  # only the run that has paid for it ends it
                        await self._cancel(job, ask)
        except Exception as error:
            names = ", ".join(job.provider_job_id for job in jobs)
            self.log.error("could not cancel %s", names, exc_info=without_keys(error))

    async def _ended_by_itself(self) -> bool:
        """Whether a task that is a success was not marked so. A wait for jobs need not tell: at its end none runs."""
        return False

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
