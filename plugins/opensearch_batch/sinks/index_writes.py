"""Whole documents into an index, and out of it, by bulk requests: sent again while the cluster is busy, in halves where
a request is refused whole.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import orjson
import tenacity

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.errors import BatchError, Refused, Throttled, Transient
from opensearch_batch.sinks import index as vectors
from opensearch_batch.sinks.index import BLOCKED, CONFLICT, FORBIDDEN, NOT_FOUND, SERVER_ERROR, TOO_MANY, Send


@dataclass(frozen=True)
class Action:
    """A document on its way: the lines of a bulk request."""

    id: str
    lines: bytes


@dataclass
class Sent:
    """`done` documents were written or deleted; `conflicts` are the ids of others whose condition did not hold."""

    done: int = 0
    conflicts: list[str] = field(default_factory=list)
    absent: int = 0


def index_action(index: str, document_id: str, routing: str | None, source: Mapping[str, Any], **terms: Any) -> Action:
    """Write a whole document; no pipeline changes it. `terms` are the words of a condition, `op_type` among them."""
    head = {"index": {"_index": index, "_id": document_id, "pipeline": "_none", **_place(routing), **terms}}
    return Action(document_id, b"%b\n%b\n" % (orjson.dumps(head), _text(source)))


def delete_action(index: str, document_id: str, routing: str | None, **terms: Any) -> Action:
    head = {"delete": {"_index": index, "_id": document_id, **_place(routing), **terms}}
    return Action(document_id, orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE))


def send_actions(actions: Iterable[Action], index: str, send: Send, check: Callable[[], None]) -> Sent:
    """Send all; `check` is asked before each request. Raise Refused for a document that the index does not take, once
    all others are sent, and for a block; Throttled where the cluster stays busy.
    """
    stopped = threading.Event()
    sender = _Sender(index, send, check, stopped)
    with ThreadPoolExecutor(vectors.AT_ONCE, thread_name_prefix="bulk") as pool:
        running: set[Future[None]] = set()
        try:
            for batch in _batches(actions):
                running.add(pool.submit(sender.write, batch))
                if len(running) >= vectors.AT_ONCE:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for ended in done:
                        ended.result()
            for ended in running:
                ended.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if sender.refused:
        first, item = sender.refused[0]
        raise Refused(
            f"{index} does not take {len(sender.refused)} documents, the first is {first}: {item.type}: {item.reason} "
            "Correct the documents or the mapping, and clear this task"
        )
    return sender.sent


def _batches(actions: Iterable[Action]) -> Iterator[list[Action]]:
    batch: list[Action] = []
    size = 0
    for action in actions:
        if batch and size + len(action.lines) > vectors.REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(action)
        size += len(action.lines)
    if batch:
        yield batch


class _Sender:
    """Writes batches, from several threads."""

    def __init__(self, index: str, send: Send, check: Callable[[], None], stopped: threading.Event) -> None:
        self._index, self._send, self._check, self._stopped = index, send, check, stopped
        self._turn = threading.Lock()
        self.sent = Sent()
        self.refused: list[tuple[str, BulkItem]] = []

    def write(self, batch: list[Action]) -> None:
        left = batch

        def attempt() -> None:
            nonlocal left
            self._check()
            left = self._once(left)
            if left:
                raise Throttled(f"{self._index}: the cluster has no place now; {len(left)} documents wait")

        tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            stop=tenacity.stop_any(
                tenacity.stop_after_delay(vectors.PATIENCE_SECONDS), tenacity.stop_when_event_set(self._stopped)
            ),
            sleep=tenacity.sleep_using_event(self._stopped),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=30),
            reraise=True,
        )(attempt)

    def _once(self, batch: list[Action]) -> list[Action]:
        """Send a batch; return the actions that the cluster had no place for."""
        busy: list[Action] = []
        for action, item in self._answered(batch):
            if item.type == BLOCKED:
                raise Refused(f"{self._index}: {item.reason} Lift the block, and clear this task")
            if item.status == FORBIDDEN:
                raise Refused(f"{self._index}: {item.reason}. The role for it is docs/roles/index.yml")
            if item.status in (TOO_MANY,) or item.status >= SERVER_ERROR:
                busy.append(action)
                continue
            with self._turn:
                self._count(action, item)
        return busy

    def _count(self, action: Action, item: BulkItem) -> None:
        if item.status == CONFLICT:
            self.sent.conflicts.append(action.id)
        elif item.status == NOT_FOUND and not item.type:
            self.sent.absent += 1
        elif item.status >= 400:
            self.refused.append((action.id, item))
        else:
            self.sent.done += 1

    def _answered(self, batch: list[Action]) -> list[tuple[Action, BulkItem]]:
        """Send a batch, in halves where a whole request is refused: for its size, or for a line in it."""
        try:
            items: list[BulkItem] = self._send(documents.bulk(b"".join(action.lines for action in batch)))
        except BatchError as error:
            if not vectors.is_of_the_request(error):
                raise
            if len(batch) == 1:
                return [(batch[0], BulkItem(error.status or 0, "request_refused", str(error)))]
            middle = len(batch) // 2
            return [*self._answered(batch[:middle]), *self._answered(batch[middle:])]
        return list(zip(batch, items, strict=True))


def _place(routing: str | None) -> dict[str, str]:
    return {} if routing is None else {"routing": routing}


def _text(source: Mapping[str, Any]) -> bytes:
    """JSON on one line. Whole numbers of more than 64 bits and halves of characters are no text for orjson."""
    try:
        return orjson.dumps(source)
    except TypeError:
        return json.dumps(source).encode()
