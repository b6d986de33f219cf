"""TurnTrigger: a submission waits for room at the provider, in the triggerer. It holds no worker and no pool slot.

Jobs end by themselves, so the wait depends on no other task. All waits for one model in a triggerer form a line: one
of them asks the provider, at most once an interval, and the oldest go first. A turn is no promise: back in the pool
the task counts again.
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

from opensearch_batch import providers
from opensearch_batch.errors import Transient
from opensearch_batch.submit.admission import Limits, Place, Wanted, has_room, in_flight
from opensearch_batch.tasks.stored_trigger import VERSION, StoredTrigger, read_event

PROMISE_SECONDS = 120.0
"""A turn that was given counts as a job until a new one shows, or for so long."""

TOLD_EVERY_SECONDS = 300.0

Count = Callable[[], Awaitable[list[Place]]]


class TurnTrigger(StoredTrigger):
    """Polls until there is room for `wanted` (a Wanted). Its event has {"carried", "since"}.

    `carried` comes back as it was given: what the task has to know when it goes on.
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
    )
    CONNECTIONS = ("provider_conn_id",)

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

    async def wait(self) -> dict[str, Any]:
        wanted = Wanted.from_dict(self.wanted)
        await self._wait(wanted)
        return {"carried": self.carried, "since": wanted.since}

    async def _wait(self, wanted: Wanted) -> None:
        key = (self.provider, self.provider_conn_id, self.model, self._limits, self.poll_seconds)
        line, said_at = line_of(key), 0.0
        with line.joined(wanted) as waiter:
            while True:
                try:
                    await line.look(self._count, self._limits, self.poll_seconds * 0.8)
                except Transient as error:
                    self.log.warning("%s: no answer from the provider, asking again: %s", wanted.name, error)
                if not waiter.turn.is_set() and time.time() - said_at > TOLD_EVERY_SECONDS:
                    said_at = time.time()
                    self.log.info("%s waits for its turn: %s", wanted.name, line)
                try:
                    await asyncio.wait_for(waiter.turn.wait(), self.poll_seconds * random.uniform(0.8, 1.2))
                except TimeoutError:
                    continue
                self.log.info("%s: its turn has come", wanted.name)
                return

    async def _count(self) -> list[Place]:
        """In a thread, with the SDK that workers use. Any wait of the line may be the one that asks, so none keeps a
        client of its own; and a key that was changed is the next one's key.
        """
        from opensearch_batch.providers.store import open_store

        vendor = providers.get(self.provider)
        limits, connection = self._limits, await BaseHook.aget_connection(self.provider_conn_id)

        def ask() -> list[Place]:
            return in_flight(open_store(vendor, connection, self.job), vendor, self.model, limits, time.time())

        return await asyncio.to_thread(ask)

    @property
    def _limits(self) -> Limits:
        return Limits(self.max_jobs, self.max_tokens)


def read_turn(event: Any) -> tuple[Any, float]:
    """`carried` and `since` of a TurnTrigger's event; raises as `read_event` does."""
    told = read_event(event)
    return told.get("carried"), float(told.get("since") or 0.0)


@dataclass(eq=False)
class Waiter:
    """One wait in the line."""

    wanted: Wanted
    turn: asyncio.Event = field(default_factory=asyncio.Event)


class Line:
    """The waits of one triggerer that want the same room."""

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self._lock = asyncio.Lock()
        self._looked_at = 0.0
        self._places: list[Place] = []
        self._promised: list[tuple[float, Place]] = []

    def __str__(self) -> str:
        return f"at least {len(self._places)} jobs are in flight, {len(self.waiters)} wait in this triggerer"

    @contextmanager
    def joined(self, wanted: Wanted) -> Iterator[Waiter]:
        waiter = Waiter(wanted)
        self.waiters.append(waiter)
        try:
            yield waiter
        finally:
            self.waiters.remove(waiter)

    async def look(self, count: Count, limits: Limits, every_seconds: float) -> None:
        """Ask the provider, unless that was done a moment ago, and give turns to the first in the line that fit.

        Nobody is overtaken: a large job would wait for ever while small ones pass.
        """
        async with self._lock:
            if time.time() - self._looked_at < every_seconds:
                return
            try:
                places = await count()
            finally:  # where there was no answer too: not all who wait ask one after the other
                now = self._looked_at = time.time()
            self._keep_promises(places, now)
            for waiter in sorted(self.waiters, key=lambda each: each.wanted.since):
                if waiter.turn.is_set():
                    continue
                taken = places + [place for _, place in self._promised]
                if not has_room(limits, taken, waiter.wanted, now):
                    break
                waiter.turn.set()
                file_id = waiter.wanted.file_id or ""
                self._promised.append((now, Place(f"promised {waiter.wanted.name}", file_id, waiter.wanted.tokens)))

    def _keep_promises(self, places: list[Place], now: float) -> None:
        """Each new job at the provider is one that was promised."""
        before = {place.file_id for place in self._places}
        new = sum(place.file_id not in before for place in places)
        self._promised = [(at, place) for at, place in self._promised if now - at < PROMISE_SECONDS][new:]
        self._places = places


_LINES: WeakKeyDictionary[Any, dict[Any, Line]] = WeakKeyDictionary()


def line_of(key: Any) -> Line:
    """By event loop: a triggerer has one."""
    return _LINES.setdefault(asyncio.get_running_loop(), {}).setdefault(key, Line())
