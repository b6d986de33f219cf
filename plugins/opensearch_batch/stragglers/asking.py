"""Asking: open rows through the cluster's `_predict`, side by side and within a rate, kept block by block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice

from opensearch_batch.cluster.online import FIRST
from opensearch_batch.stragglers.open_rows import OpenRow
from opensearch_batch.stragglers.questions import Found, Question

AT_ONCE = 8
BLOCK_ROWS = 50
"""So many rows at most a killed task has paid for and not kept."""
LAST_SECONDS = 5.0
"""So long a task that ends by an error waits for what is under way, to keep it."""

Keep = Callable[[list[tuple[OpenRow, Found]]], None]


class Stopped(Exception):
    """No further row is asked: the task ends."""


class Pace:
    """Turns for threads, at most `per_second` a second, until `stop`."""

    def __init__(self, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._gap, self._now = 1 / per_second, now
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def turn(self) -> None:
        """Wait for the next turn. Raise Stopped."""
        with self._lock:
            at = max(self._now(), self._next)
            self._next = at + self._gap
        self.pause(at - self._now())

    def pause(self, seconds: float) -> None:
        """Raise Stopped."""
        if self._stopped.wait(max(0.0, seconds)):
            raise Stopped

    def stop(self) -> None:
        self._stopped.set()


def ask_all(question: Question, rows: Iterable[OpenRow], pace: Pace, keep: Keep, *, tried: bool) -> str:
    """Ask each row, and keep every block of answers before the next begins; return why not all were asked, or "".

    Unless `tried` (rows of the run have been answered before), the first FIRST rows go alone: where none of them has
    an answer that lands, no other is asked. Raise Transient for a row that is not taken for ten minutes; what was
    answered by then is kept.
    """

    def answer_to(row: OpenRow) -> Found:
        pace.turn()
        return question(row, pace.pause)

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stragglers")
    try:
        for number, block in enumerate(_blocks(rows, 0 if tried else FIRST)):
            found = _answered(pool, answer_to, block, pace, keep)
            if number == 0 and not tried and all(each.why_not for each in found):
                return f"the first {len(found)} rows asked {_ended(found)}: {found[0].why_not}"
        return ""
    finally:
        pace.stop()
        pool.shutdown(wait=False, cancel_futures=True)


def _ended(found: Sequence[Found]) -> str:
    return "were refused" if all(each.kept is None for each in found) else "have no answer that lands"


def _blocks(rows: Iterable[OpenRow], first: int) -> Iterator[tuple[OpenRow, ...]]:
    left = iter(rows)
    if begin := tuple(islice(left, first)):
        yield begin
    while block := tuple(islice(left, BLOCK_ROWS)):
        yield block


def _answered(
    pool: ThreadPoolExecutor,
    answer_to: Callable[[OpenRow], Found],
    block: tuple[OpenRow, ...],
    pace: Pace,
    keep: Keep,
) -> list[Found]:
    asked = [(row, pool.submit(answer_to, row)) for row in block]
    try:
        made = [(row, future.result()) for row, future in asked]
    except BaseException:
        pace.stop()
        wait([future for _, future in asked if not future.cancel()], LAST_SECONDS)
        keep([(row, future.result()) for row, future in asked if _is_good(future)])
        raise
    keep(made)
    return [answer for _, answer in made]


def _is_good(future: Future[Found]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
