"""A bulk request that is refused whole: halved where a smaller one is taken, sent again where only time helps."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
import tenacity

from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.replies import read_reply
from opensearch_batch.errors import Refused, Throttled
from opensearch_batch.flow.beside import NAMED
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sinks.bulk import send_all
from opensearch_batch.sinks.index_writes import Action, index_action, send_actions

LIMIT = 1_000
"""Bytes of all requests that the node takes at once."""


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenacity, "sleep_using_event", lambda event: lambda seconds: None)


def heap_is_full(request: int, under_way: int) -> str:
    """As 2.19.6 and 3.6.0 answer, to the letter."""
    reason = (
        f"rejected execution of coordinating operation [coordinating_and_primary_bytes={under_way}, replica_bytes=0, "
        f"all_bytes={under_way}, coordinating_operation_bytes={request}, max_coordinating_and_primary_bytes={LIMIT}]"
    )
    return json.dumps({"error": {"type": "rejected_execution_exception", "reason": reason}, "status": 429})


class Node:
    """Takes `LIMIT` bytes at once; `under_way` are those of others, by request."""

    def __init__(self, under_way: Sequence[int] = ()) -> None:
        self.under_way, self.bodies = [*under_way], list[int]()

    def send(self, call: Call) -> Any:
        body = call.lines or b""
        self.bodies.append(len(body))
        others = self.under_way.pop(0) if self.under_way else 0
        if others + len(body) > LIMIT:
            return read_reply(call, 429, heap_is_full(len(body), others), {})
        items = [{"index": {"status": 201}} for _ in range(body.count(b"\n") // 2)]
        return read_reply(call, 200, json.dumps({"errors": False, "items": items}), {})


def sent(node: Node, actions: Sequence[Action]) -> dict[str, BulkItem]:
    ended: dict[str, BulkItem] = {}

    def take(answered: list[tuple[Action, BulkItem]]) -> None:
        ended.update({action.id: item for action, item in answered})

    send_all(actions, node.send, lambda actions: None, take)
    return ended


def documents(*lengths: int) -> list[Action]:
    return [index_action("i", f"d{n}", None, {"body": "x" * length}) for n, length in enumerate(lengths)]


def test_a_body_above_the_nodes_limit_goes_in_halves() -> None:
    node = Node()
    assert {item.status for item in sent(node, documents(200, 200, 200, 200)).values()} == {201}
    assert [body <= LIMIT for body in node.bodies] == [False, True, True]


def test_a_busy_node_gets_the_same_request_again() -> None:
    """In halves, and in halves of these, a node without room would get the more requests, one for each document."""
    node = Node(under_way=[900, 900])
    assert {item.status for item in sent(node, documents(100, 100, 100)).values()} == {201}
    assert len(node.bodies) == 3
    assert len(set(node.bodies)) == 1


def test_a_document_above_the_limit_is_named_once_and_the_others_are_written() -> None:
    node = Node()
    found = sent(node, documents(100, 2_000, 100))
    assert (found["d0"].status, found["d2"].status) == (201, 201)
    assert (found["d1"].status, found["d1"].type) == (429, "request_refused")
    assert "max_coordinating_and_primary_bytes=1000" in found["d1"].reason
    assert sum(body > LIMIT for body in node.bodies) <= 3, "no waiting cures it"


def test_a_node_that_stays_busy_ends_the_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(Throttled, match="coordinating_operation_bytes"):
        sent(Node(under_way=[900] * 10_000), documents(100, 100))


def answering(item: BulkItem) -> Callable[[Call], list[BulkItem]]:
    """A cluster that answers so for each document."""
    return lambda call: [item] * ((call.lines or b"").count(b"\n") // 2)


def nothing() -> None: ...


def test_documents_that_are_there_already_are_counted_and_the_first_are_named() -> None:
    """A copy that begins again meets all of them: their names take no memory."""
    sent = send_actions(documents(*[1] * 500), "i", answering(BulkItem(409, "version_conflict")), nothing)
    assert (sent.done, sent.conflicts, len(sent.named)) == (0, 500, NAMED)
    assert {*sent.named} <= {f"d{n}" for n in range(500)}


def test_documents_that_an_index_does_not_take_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(Refused, match=r"i does not take 500 documents, the first is d\d+: mapper_parsing: no date"):
        send_actions(documents(*[1] * 500), "i", answering(BulkItem(400, "mapper_parsing", "no date")), nothing)


def test_memory_does_not_grow_with_the_documents_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "REQUEST_BYTES", 100_000)

    def peak(count: int, status: int) -> int:
        actions = (index_action("i", f"{'x' * 500}{n}", None, {}) for n in range(count))
        tracemalloc.start()
        try:
            with suppress(Refused):
                send_actions(actions, "i", answering(BulkItem(status, "refused")), nothing)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for status in (400, 409):
        assert peak(10_000, status) < peak(5_000, status) + 1_000_000
