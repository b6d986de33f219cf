"""Bulk requests: several under way, sent again while the cluster is busy, halved where a request is refused whole."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

import tenacity

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError, Refused, Throttled, Transient

REQUEST_BYTES = 4 << 20
"""Of a bulk request. A node takes a tenth of its heap in all requests together."""
AT_ONCE = 3
"""Bulk requests under way."""
PATIENCE_SECONDS = 600.0
"""So long a request is sent again to a busy cluster; then the task fails, and its next try goes on."""

FORBIDDEN, NOT_FOUND, CONFLICT, TOO_LARGE, TOO_MANY, SERVER_ERROR = 403, 404, 409, 413, 429, 500
OF_THE_HEAP = re.compile(r"coordinating_operation_bytes=(\d+), max_coordinating_and_primary_bytes=(\d+)")
"""In a 429: the bytes of a request, and what a node takes in all requests together. A node that is busy with others
says the same of a request that has room later.
"""
BLOCKED = "cluster_block_exception"
REQUEST_REFUSED = "request_refused"
"""Type of a document whose own request is refused, and would be again."""

Send = Callable[[Call], Any]


class Action(Protocol):
    """A document on its way: the lines of a bulk request."""

    @property
    def index(self) -> str: ...

    @property
    def lines(self) -> bytes: ...


A = TypeVar("A", bound=Action)
Ended = Callable[[list[tuple[A, BulkItem]]], None]
"""Takes what became of actions, from several threads."""


def send_all(actions: Iterable[A], send: Send, before: Callable[[Sequence[A]], None], ended: Ended[A]) -> None:
    """Send all actions until each has an end; what the cluster had no place for is sent again, later.

    `before` gets the actions of each request before the request is sent. Raise Refused for a block that only a person
    lifts and for want of a permission, Throttled where the cluster stays busy, and what `before` and `ended` raise.
    """
    stopped = threading.Event()

    def write(batch: list[A]) -> None:
        left = batch

        def attempt() -> None:
            nonlocal left
            before(left)
            busy: list[A] = []
            over: list[tuple[A, BulkItem]] = []
            for action, item in answered(left, send):
                if is_busy(action, item):
                    busy.append(action)
                else:
                    over.append((action, item))
            ended(over)  # may raise Transient: then the whole batch is sent again
            left = busy
            if left:
                raise Throttled(f"{left[0].index}: the cluster has no place for them now; {len(left)} documents wait")

        tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=tenacity.stop_any(tenacity.stop_after_delay(PATIENCE_SECONDS), tenacity.stop_when_event_set(stopped)),
            sleep=tenacity.sleep_using_event(stopped),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=30),
            reraise=True,
        )(attempt)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bulk") as pool:
        running: set[Future[None]] = set()
        try:
            for batch in batches(actions):
                running.add(pool.submit(write, batch))
                if len(running) >= AT_ONCE:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
            for each in running:
                each.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def batches(actions: Iterable[A]) -> Iterator[list[A]]:
    """Yield the actions of each request."""
    batch: list[A] = []
    size = 0
    for action in actions:
        if batch and size + len(action.lines) > REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(action)
        size += len(action.lines)
    if batch:
        yield batch


def answered(batch: Sequence[A], send: Send) -> list[tuple[A, BulkItem]]:
    """Send a batch, in halves where a whole request is refused: for its size, or for a line in it."""
    try:
        items: list[BulkItem] = send(documents.bulk(b"".join(action.lines for action in batch)))
    except BatchError as error:
        if not _is_of_the_request(error):
            raise
        if len(batch) == 1:
            return [(batch[0], BulkItem(error.status or 0, REQUEST_REFUSED, str(error)))]
        middle = len(batch) // 2
        return [*answered(batch[:middle], send), *answered(batch[middle:], send)]
    return list(zip(batch, items, strict=True))


def _is_of_the_request(error: BatchError) -> bool:
    """Whether a smaller request, or a request without a certain line, may be taken."""
    if found := OF_THE_HEAP.search(str(error)):
        request, most = map(int, found.groups())
        return request > most
    return error.status in (400, TOO_LARGE)


def is_busy(action: Action, item: BulkItem) -> bool:
    """Whether the cluster had no place for an action. Raise Refused for a block, and for want of a permission."""
    if item.status >= SERVER_ERROR:
        return True
    if item.type == BLOCKED:
        raise Refused(f"{action.index}: {item.reason} Lift the block, and clear this task")
    if item.status == FORBIDDEN:
        raise Refused(f"{action.index}: {item.reason}. The role for it is docs/roles/index.yml")
    return item.status == TOO_MANY and item.type != REQUEST_REFUSED
