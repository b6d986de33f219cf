"""Whole documents into an index, and out of it, by bulk requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.errors import Refused
from opensearch_batch.flow.beside import NAMED
from opensearch_batch.sinks.bulk import CONFLICT, NOT_FOUND, Send, send_all


@dataclass(frozen=True)
class Action:
    """A document on its way: the lines of a bulk request."""

    index: str
    id: str
    lines: bytes


@dataclass
class Sent:
    """`done` documents were written or deleted; `conflicts` are others whose condition did not hold, `named` the ids of
    the first of them.
    """

    done: int = 0
    conflicts: int = 0
    named: list[str] = field(default_factory=list)
    absent: int = 0


def index_action(index: str, document_id: str, routing: str | None, source: Mapping[str, Any], **terms: Any) -> Action:
    """Write a whole document; no pipeline changes it. `terms` are the words of a condition, `op_type` among them."""
    head = {"index": {"_index": index, "_id": document_id, "pipeline": "_none", **_place(routing), **terms}}
    return Action(index, document_id, b"%b\n%b\n" % (orjson.dumps(head), _text(source)))


def delete_action(index: str, document_id: str, routing: str | None, **terms: Any) -> Action:
    head = {"delete": {"_index": index, "_id": document_id, **_place(routing), **terms}}
    return Action(index, document_id, orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE))


def send_actions(
    actions: Iterable[Action], index: str, send: Send, check: Callable[[], None], *, most_named: int = NAMED
) -> Sent:
    """Send all; `check` is asked before each request. Raise Refused for a document that the index does not take, once
    all others are sent, and for a block; Throttled where the cluster stays busy.
    """
    sender = _Sender(most_named)
    send_all(actions, send, lambda actions: check(), sender.take)
    if sender.first_refused:
        first, item = sender.first_refused
        raise Refused(
            f"{index} does not take {sender.refused} documents, the first is {first}: {item.type}: {item.reason} "
            "Correct the documents or the mapping, and clear this task"
        )
    return sender.sent


class _Sender:
    """Counts what becomes of actions, from several threads; there may be any number of them."""

    def __init__(self, most_named: int) -> None:
        self._turn, self._most_named = threading.Lock(), most_named
        self.sent, self.refused = Sent(), 0
        self.first_refused: tuple[str, BulkItem] | None = None

    def take(self, answered: list[tuple[Action, BulkItem]]) -> None:
        with self._turn:
            for action, item in answered:
                self._count(action, item)

    def _count(self, action: Action, item: BulkItem) -> None:
        if item.status == CONFLICT:
            self.sent.conflicts += 1
            if len(self.sent.named) < self._most_named:
                self.sent.named.append(action.id)
        elif item.status == NOT_FOUND and not item.type:
            self.sent.absent += 1
        elif item.status >= 400:
            self.refused += 1
            self.first_refused = self.first_refused or (action.id, item)
        else:
            self.sent.done += 1


def _place(routing: str | None) -> dict[str, str]:
    return {} if routing is None else {"routing": routing}


def _text(source: Mapping[str, Any]) -> bytes:
    """JSON on one line. Whole numbers of more than 64 bits and halves of characters are no text for orjson."""
    try:
        return orjson.dumps(source)
    except TypeError:
        return json.dumps(source).encode()
