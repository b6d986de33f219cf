"""TurnTrigger: a submission waits for a turn in the triggerer. The wait holds no worker and no pool slot.

Jobs end by themselves, so the wait depends on no other task. All waits for one model in a triggerer form a queue: one
of the waits asks the provider, at most once an interval, and the oldest go first. A turn is no promise: back in the
pool the task counts again. A submission that only another try can show the way waits for its hour, and asks nobody.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook
from airflow.sdk.execution_time.comms import GetXCom, XComResult

from opensearch_batch import providers
from opensearch_batch.errors import Transient
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.admission import Limits, LiveJob, Wanted, in_flight, may_submit
from opensearch_batch.tasks.ending_trigger import EndingTrigger
from opensearch_batch.tasks.gauges import WAITING_FOR_TURN
from opensearch_batch.tasks.stored_trigger import VERSION, read_event

PROMISE_SECONDS = 120.0
"""A turn counts as a job until a new job shows at the provider, or for so long."""

TOLD_EVERY_SECONDS = 300.0

Count = Callable[[], Awaitable[list[LiveJob]]]


class TurnTrigger(EndingTrigger):
    """Polls until `wanted` (a Wanted) may be submitted, or waits until its `not_before`. The event has {"carried",
    "since"}, and `fruitless_since` where `wanted` has it.

    `carried` comes back unchanged: the task needs `carried` to go on. `jobs` are those that the task has submitted
    before, and nothing else waits for yet. `opensearch_conn_id` may be empty where there are none.
    """

    PATH = "opensearch_batch.turn.TurnTrigger"
    ARGUMENTS = (
        "wanted",
        "max_jobs",
        "max_tokens",
        "model",
        "provider",
        "provider_conn_id",
        "poll_seconds",
        "carried",
        "job",
        "jobs",
        "opensearch_conn_id",
        "cancel_on_kill",
        "credential_conn_ids",
    )

    def __init__(
        self,
        *,
        wanted: dict[str, Any],
        max_jobs: int | None,
        max_tokens: int | None,
        model: str | None,
        provider: str,
        provider_conn_id: str,
        poll_seconds: float,
        carried: Any = None,
        job: dict[str, Any] | None = None,
        jobs: list[dict[str, Any]] | None = None,
        opensearch_conn_id: str = "",
        cancel_on_kill: bool = True,
        credential_conn_ids: list[str] | None = None,
        version: int = VERSION,
    ) -> None:
        super().__init__(version)
        self.wanted = wanted
        self.max_jobs = max_jobs
        self.max_tokens = max_tokens
        self.model = model
        self.provider = provider
        self.provider_conn_id = provider_conn_id
        self.poll_seconds = poll_seconds
        self.carried = carried
        self.job = job
        self.jobs = jobs or []
        self.opensearch_conn_id = opensearch_conn_id
        self.cancel_on_kill = cancel_on_kill
        self.credential_conn_ids = credential_conn_ids or []

    @property
    def submitted(self) -> list[Job]:
        return [Job.from_dict(job) for job in self.jobs]

    async def _ended_by_itself(self) -> bool:
        """A submission that went on in another triggerer, while this one stood still, may have succeeded by now, and a
        wait has its jobs. It has returned them; a task that a person marks has returned nothing since it began. One
        that failed by itself is not told from one that was marked failed: neither has returned anything.
        """
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        ti: Any = self.task_instance
        index = -1 if ti.map_index is None else ti.map_index
        named = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": index}
        # Past an XCom backend: only whether there is a value counts.
        returned = await SUPERVISOR_COMMS.asend(GetXCom(key="return_value", **named))
        assert isinstance(returned, XComResult)
        return returned.value is not None

    async def wait(self) -> dict[str, Any]:
        wanted = Wanted.from_dict(self.wanted)
        with WAITING_FOR_TURN.joined(self.task_instance, self.provider) as waiting:
            if wanted.not_before:
                # Tries that were refused together do not come together again.
                await self._pause(wanted.not_before + random.uniform(0, self.poll_seconds), waiting)
            else:
                await self._wait(wanted, waiting)
        event = {"carried": self.carried, "since": wanted.since}
        return event | ({"fruitless_since": wanted.fruitless_since} if wanted.fruitless_since else {})

    async def _pause(self, until: float, waiting: Callable[[int], None]) -> None:
        while (left := until - time.time()) > 0:
            waiting(1)
            await asyncio.sleep(min(left, self.poll_seconds))

    async def _wait(self, wanted: Wanted, waiting: Callable[[int], None]) -> None:
        key = (self.provider, self.provider_conn_id, self.model, self._limits, self.poll_seconds)
        queue, said_at = queue_of(key), 0.0
        with queue.joined(wanted) as waiter:
            while True:
                waiting(1)  # told anew each time: some metrics systems forget a gauge after a while
                try:
                    await queue.look(self._count, self._limits, self.poll_seconds * 0.8)
                except Transient as error:
                    self.log.warning("%s: no answer from the provider, asking again: %s", wanted.name, error)
                if queue.counted and not waiter.turn.is_set() and time.time() - said_at > TOLD_EVERY_SECONDS:
                    said_at = time.time()
                    self.log.info("%s waits for its turn: %s", wanted.name, queue)
                try:
                    await asyncio.wait_for(waiter.turn.wait(), self.poll_seconds * random.uniform(0.8, 1.2))
                except TimeoutError:
                    continue
                self.log.info("%s: its turn has come", wanted.name)
                return

    async def _count(self) -> list[LiveJob]:
        """Count in a thread, with the SDK that workers use. Any wait in the queue may be the next to ask, so no wait
        keeps a client, and the next wait to ask uses a changed key.
        """
        from opensearch_batch.providers.store import open_store

        vendor = providers.get(self.provider)
        limits, connection = self._limits, await BaseHook.aget_connection(self.provider_conn_id)

        def ask() -> list[LiveJob]:
            return in_flight(open_store(vendor, connection, self.job), vendor, self.model, limits, time.time())

        return await asyncio.to_thread(ask)

    @property
    def _limits(self) -> Limits:
        return Limits(self.max_jobs, self.max_tokens)


@dataclass(frozen=True)
class Turn:
    """What a wait has brought: as in TurnTrigger's event, times in epoch seconds, 0 without."""

    carried: Any = None
    since: float = 0.0
    fruitless_since: float = 0.0


def read_turn(event: Any) -> Turn:
    """Read a TurnTrigger's event; raises as `read_event` does."""
    told = read_event(event)
    return Turn(told.get("carried"), float(told.get("since") or 0.0), float(told.get("fruitless_since") or 0.0))


@dataclass(eq=False)
class Waiter:
    """One wait in the queue."""

    wanted: Wanted
    turn: asyncio.Event = field(default_factory=asyncio.Event)


class TurnQueue:
    """The waits of one triggerer for the same limits, oldest first."""

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self._lock = asyncio.Lock()
        self.counted = False
        """Whether the provider has ever answered: before, nobody knows what is in flight."""
        self._looked_at = 0.0
        self._live: list[LiveJob] = []
        self._promised: list[tuple[float, LiveJob]] = []

    def __str__(self) -> str:
        return f"at least {len(self._live)} jobs are in flight, {len(self.waiters)} wait in this triggerer"

    @contextmanager
    def joined(self, wanted: Wanted) -> Iterator[Waiter]:
        waiter = Waiter(wanted)
        self.waiters.append(waiter)
        try:
            yield waiter
        finally:
            self.waiters.remove(waiter)

    async def look(self, count: Count, limits: Limits, every_seconds: float) -> None:
        """Ask the provider, unless the last answer is recent, and give turns to the first waits in the queue that fit.

        No wait is overtaken: a large job would wait for ever while small jobs pass.
        """
        async with self._lock:
            if time.time() - self._looked_at < every_seconds:
                return
            try:
                live = await count()
            finally:  # where there was no answer too: not all who wait ask one after the other
                now = self._looked_at = time.time()
            self._keep_promises(live, now)
            for waiter in sorted(self.waiters, key=lambda each: each.wanted.since):
                if waiter.turn.is_set():
                    continue
                taken = live + [job for _, job in self._promised]
                if not may_submit(limits, taken, waiter.wanted, now):
                    break
                waiter.turn.set()
                self._promised.append((now, LiveJob(f"promised {waiter.wanted.name}", "", waiter.wanted.by_bytes)))

    def _keep_promises(self, live: list[LiveJob], now: float) -> None:
        """Take each new job at the provider for a promised job."""
        before = {job.file_id for job in self._live}
        new = sum(job.file_id not in before for job in live)
        self._promised = [(at, job) for at, job in self._promised if now - at < PROMISE_SECONDS][new:]
        self._live, self.counted = live, True


_QUEUES: WeakKeyDictionary[Any, dict[Any, TurnQueue]] = WeakKeyDictionary()


def queue_of(key: Any) -> TurnQueue:
    """Return the queue by event loop: a triggerer has a single event loop."""
    return _QUEUES.setdefault(asyncio.get_running_loop(), {}).setdefault(key, TurnQueue())
