"""Roster: one walk of the provider's list answers for all waits of this process that ask the same server with the same
key.

A list is a hint: it may lag, and the cluster learns nothing from it. waiting.py says what is looked at singly besides.
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

log = logging.getLogger(__name__)

PAGE = 100
"""Jobs to a page of the list."""

BLIND = 3
"""Walks that may fail in a row before jobs are looked at singly, as if there were no list."""


@dataclass(frozen=True)
class AskList:
    """Walk the provider's list of jobs, newest first, for these ids.

    The walk ends with the last of them found, after `most_pages`, or where the jobs are older than `since` (epoch
    seconds; None: not known).
    """

    ids: frozenset[str]
    most_pages: int
    since: float | None


Walk = Callable[[AskList], Awaitable[Mapping[str, Mapping[str, Any]]]]


@dataclass(frozen=True)
class Listing:
    """One walk: what it found by job id; where it failed, why, and how many in a row did."""

    begun: float
    wanted: frozenset[str]
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: BatchError | None = None
    failures: int = 0


class Roster:
    """Lives in one event loop. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wanted: set[str] = set()
        self._made_at: dict[str, float] = {}
        self._last: Listing | None = None
        self._lock = asyncio.Lock()

    @contextmanager
    def following(self, ids: list[str]) -> Iterator[None]:
        """Every walk looks for these jobs too, until they have ended."""
        self._wanted.update(ids)
        try:
            yield
        finally:
            for id in ids:
                self.ended(id)

    def ended(self, id: str) -> None:
        """No walk needs to look for it any more."""
        self._wanted.discard(id)
        self._made_at.pop(id, None)

    def made(self, id: str, at: float) -> None:
        """What a look said of the job's age (epoch seconds): no walk goes further back than the oldest."""
        if id in self._wanted:
            self._made_at[id] = at

    @property
    def empty(self) -> bool:
        return not self._wanted

    async def listing(self, ids: frozenset[str], walk: Walk, fresh_seconds: float) -> Listing:
        """The latest walk if it looked for these ids and began less than `fresh_seconds` ago, else a new one; a walk
        under way is waited for. Raises nothing but cancellation: one error would end every wait that shares it.
        """
        async with self._lock:
            last = self._last
            if last is None or self._clock() - last.begun >= fresh_seconds or not ids <= last.wanted:
                last = self._last = await self._walk(walk, ids, last)
            return last

    async def _walk(self, walk: Walk, ids: frozenset[str], last: Listing | None) -> Listing:
        begun, wanted = self._clock(), ids | self._wanted
        try:
            found = await walk(AskList(wanted, self._most_pages(wanted), self._since(wanted)))
        except BatchError as error:
            return Listing(begun, wanted, error=error, failures=last.failures + 1 if last else 1)
        except Exception as error:
            log.exception("The provider's list of jobs could not be read")
            told = Unavailable(f"the list of jobs could not be read: {type(error).__name__}")
            return Listing(begun, wanted, error=told, failures=last.failures + 1 if last else 1)
        return Listing(begun, wanted, found)

    def _most_pages(self, wanted: frozenset[str]) -> int:
        """A walk among many strangers' jobs must not cost more than it saves."""
        return max(-(-len(wanted) // PAGE), len(wanted) // 2)

    def _since(self, wanted: frozenset[str]) -> float | None:
        if not wanted <= self._made_at.keys():
            return None
        return min(self._made_at[id] for id in wanted)


_ROSTERS: dict[tuple[asyncio.AbstractEventLoop, Hashable], Roster] = {}


@contextmanager
def shared(key: Hashable, ids: list[str]) -> Iterator[Roster]:
    """The roster of all in this event loop who name the same key, for as long as one of them is there."""
    place = (asyncio.get_running_loop(), key)
    roster = _ROSTERS.setdefault(place, Roster())
    try:
        with roster.following(ids):
            yield roster
    finally:
        if roster.empty:
            _ROSTERS.pop(place, None)
