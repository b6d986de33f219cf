"""Side by side: the same step for several shards or jobs of a bundle at once, in threads. Threads share the waiting;
work that keeps a processor busy gains nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from opensearch_batch.errors import BatchError, Terminal

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 4
"""Threads of a task: each thread holds a file's upload or download, and the ids of a shard."""

NAMED = 5
"""So many errors are told in full; further errors are counted."""


def side_by_side(
    work: Callable[[T], R], items: Sequence[T], name: Callable[[T], str], at_once: int = AT_ONCE
) -> list[R]:
    """Return results in the order of the items.

    A BatchError stops no other item: after all attempts the first Terminal error is raised, else the first error, and
    the text names the rest. Returns or raises only when everything begun has ended, so that a retry never runs beside
    leftover threads.
    """
    if len(items) < 2:
        return [work(item) for item in items]

    def attempt(item: T) -> tuple[R | None, BatchError | None]:
        try:
            return work(item), None
        except BatchError as error:
            return None, error

    with ThreadPoolExecutor(min(at_once, len(items)), thread_name_prefix="bundle") as pool:
        futures = [pool.submit(attempt, item) for item in items]
        try:
            ended = [future.result() for future in futures]
        except BaseException:  # a signal to this task, or an error that is not ours: begin nothing more
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failed = [(name(item), error) for item, (_, error) in zip(items, ended, strict=True) if error is not None]
    if failed:
        failed.sort(key=lambda one: not isinstance(one[1], Terminal))
        raise _as_one(failed, len(items)) from failed[0][1]
    return [result for result, _ in ended]  # type: ignore[misc]


def _as_one(failed: list[tuple[str, BatchError]], attempted: int) -> BatchError:
    """Join the errors into an error of the first error's class, with the longest pause of all."""
    first = failed[0][1]
    told = "; ".join(_named(name, error) for name, error in failed[:NAMED])
    left = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    pauses = [error.retry_after_seconds for _, error in failed if error.retry_after_seconds]
    return type(first)(
        f"{len(failed)} of {attempted}: {told}{left}",
        status=first.status,
        retry_after_seconds=max(pauses, default=None),
    )


def _named(name: str, error: BatchError) -> str:
    return str(error) if str(error).startswith(name) else f"{name}: {error}"


class OneAtATime:
    """A task state store that threads may share: Airflow's own is a conversation over one channel, and nothing keeps
    two conversations apart under `dag.test()`.
    """

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self._turn = threading.Lock()

    def get(self, key: str, default: Any = None) -> Any:
        with self._turn:
            return self._memory.get(key, default)

    def set(self, key: str, value: Any) -> None:
        with self._turn:
            self._memory.set(key, value)
