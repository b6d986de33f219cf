"""The old index takes writes between the last look at it and the move of the alias: they are carried after the move,
and what was written to the new index by then is later and stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest  # noqa: TC002

from opensearch_batch.beside import carrying
from opensearch_batch.cluster.described import Send
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.flow.beside import Carried
from opensearch_batch.flow.documents import IndexState
from tests.index.bench import Index
from tests.index.beside import ALIAS, Beside, behind

Change = Callable[..., Beside]
LOOSE = {"max_without_vector": 0.5}


def around_the_move(
    patch: pytest.MonkeyPatch, before: Callable[[], None], after: Callable[[], None] = lambda: None
) -> None:
    """Run these right before and right after the request that moves the alias."""
    send = MLCommonsHook.send

    def interrupted(hook: MLCommonsHook, call: Call) -> Any:
        if call.path != "/_aliases":
            return send(hook, call)
        before()
        answer = send(hook, call)
        after()
        return answer

    patch.setattr(MLCommonsHook, "send", interrupted)


def test_writes_of_the_last_moment_are_carried_after_the_move(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before() -> None:
        aliased.edit("a0", body="edited at the last moment")
        aliased.remove("a1")
        aliased.add({"new": {"body": "made at the last moment"}})

    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    around_the_move(monkeypatch, before)
    swapped = run.swap()
    hits = run.new_index.hits
    assert set(hits) == set(aliased.hits)
    assert hits["a0"]["_source"]["body"] == "edited at the last moment"
    assert set(hits) - run.new_index.vectors == {"a0", "new"}
    assert (swapped["after"]["written"], swapped["after"]["deleted"]) == (2, 1)


def test_what_was_written_by_the_alias_after_the_move_stays(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Index(aliased.cluster, ALIAS)

    def before() -> None:
        aliased.edit("a0", body="of the last moment")
        aliased.edit("a1", body="of the last moment")
        aliased.edit("a3", body="of the last moment")
        aliased.remove("a2")

    def after() -> None:
        live.edit("a0", body="later")
        live.edit("a2", title="later")
        live.remove("a3")
        live.add({"new": {"body": "later"}})

    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    around_the_move(monkeypatch, before, after)
    swapped = run.swap()
    hits = run.new_index.hits
    assert {name: hits[name]["_source"].get("body") for name in ("a0", "a1", "new")} == {
        "a0": "later",
        "a1": "of the last moment",
        "new": "later",
    }
    assert hits["a2"]["_source"]["title"] == "later", "a document written again is not deleted"
    assert "a3" not in hits, "a document deleted later stays deleted"
    assert (swapped["after"]["written"], swapped["after"]["kept"]) == (1, 2)


def test_an_edit_made_while_ids_are_compared_is_there_before_the_move(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids of a large index take minutes, and a partial update by the alias must not find the former text there."""
    live, compared, turns = Index(aliased.cluster, ALIAS), carrying._without_deleted, count(1)

    def meanwhile(send: Send, source: IndexState, target: IndexState, of_others: IndexState | None) -> Carried:
        found = compared(send, source, target, of_others)
        if of_others is None:
            turn = next(turns)
            aliased.edit("a0", body=f"edit {turn}")
            aliased.remove(f"a{turn}")
        return found

    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    aliased.remove("a39")
    monkeypatch.setattr(carrying, "_without_deleted", meanwhile)
    around_the_move(monkeypatch, lambda: None, lambda: live.edit("a0", title="by the alias"))
    run.swap()
    hits = run.new_index.hits
    assert hits["a0"]["_source"]["body"] == f"edit {next(turns) - 1}"
    assert hits["a0"]["_source"]["title"] == "by the alias"
    assert set(hits) == set(aliased.hits)


def test_no_write_of_a_busy_index_is_lost(aliased: Index, change: Change) -> None:
    """Writers add, edit and delete by the alias all the time, through the move."""
    run = change(write_back={"max_without_vector": 1.0})
    run.filled()
    told: dict[str, str | None] = {}
    over = threading.Event()

    def write() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            name, text = f"w{turn % 50}", f"text of turn {turn}"
            if turn % 7 == 0:
                aliased.cluster.http.delete(f"/{ALIAS}/_doc/{name}")
                told[name] = None
            else:
                aliased.cluster.ok("PUT", f"/{ALIAS}/_doc/{name}", {"body": text})
                told[name] = text

    def turns() -> int:
        return len(told)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while turns() < 20:
            time.sleep(0.01)
        run.carry()
        run.swap()
    finally:
        over.set()
        writer.join()
    assert behind(aliased.cluster) == {run.new_index.name}
    found = {name: hit["_source"]["body"] for name, hit in run.new_index.hits.items() if name.startswith("w")}
    assert found == {name: text for name, text in told.items() if text is not None}
