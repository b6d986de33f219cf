"""Asking: open rows through the cluster's `_predict`, side by side and within a rate, kept block by block."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice

from opensearch_batch.cluster.ml_commons import predict
from opensearch_batch.cluster.online import FIRST, Answered, Send, ask
from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.vectors import is_vector
from opensearch_batch.stragglers.open_rows import OpenRow

AT_ONCE = 8
BLOCK_ROWS = 50
"""So many rows at most a killed task has paid for and not kept."""
LAST_SECONDS = 5.0
"""So long a task that ends by an error waits for what is under way, to keep it."""

Keep = Callable[[list[tuple[OpenRow, Answered]]], None]


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


def ask_all(
    send: Send,
    model_id: str,
    rows: Iterable[OpenRow],
    dimensions: int | None,
    pace: Pace,
    keep: Keep,
    *,
    tried: bool,
) -> str:
    """Ask each row, and keep every block of answers before the next begins; return why not all were asked, or "".

    A vector of another length than `dimensions` counts as refused; None leaves the length to the model. Unless `tried`
    (rows of the run have been answered before), the first FIRST rows go alone: where all are refused, no other is
    asked. Raise Transient for a row that is not taken for ten minutes; what was answered by then is kept.
    """

    def answer_to(row: OpenRow) -> Answered:
        pace.turn()
        return _checked(dimensions, ask(send, predict(model_id, row.parameters), pace.pause))

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stragglers")
    try:
        for number, block in enumerate(_blocks(rows, 0 if tried else FIRST)):
            answers = _answered(pool, answer_to, block, pace, keep)
            if number == 0 and not tried and all(answer.vector is None for answer in answers):
                return f"the first {len(answers)} rows asked were refused: {answers[0].refusal}"
        return ""
    finally:
        pace.stop()
        pool.shutdown(wait=False, cancel_futures=True)


def _checked(dimensions: int | None, answer: Answered) -> Answered:
    """Refuse what would not land: a vector that is kept is never asked for again."""
    if answer.vector is not None and not is_vector(Answer("", vector=array("f", answer.vector))):
        return Answered(None, "the vector has a number that is not finite in single precision, or no number at all")
    if answer.vector is None or dimensions in (None, len(answer.vector)):
        return answer
    why = f"the vector has {len(answer.vector)} numbers, {dimensions} were asked for in batches"
    return Answered(None, f"{why}: the connector's predict action asks for another length")


def _blocks(rows: Iterable[OpenRow], first: int) -> Iterator[tuple[OpenRow, ...]]:
    left = iter(rows)
    if begin := tuple(islice(left, first)):
        yield begin
    while block := tuple(islice(left, BLOCK_ROWS)):
        yield block


def _answered(
    pool: ThreadPoolExecutor,
    answer_to: Callable[[OpenRow], Answered],
    block: tuple[OpenRow, ...],
    pace: Pace,
    keep: Keep,
) -> list[Answered]:
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


def _is_good(future: Future[Answered]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
