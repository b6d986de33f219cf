"""An answer in which a shard is missing is never taken for the whole index: a walk would pass documents over, and they
would be deleted in the other index.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Unavailable
from tests.index.bench import Index
from tests.index.beside import ALIAS, Beside, behind

Change = Callable[..., Beside]
LOOSE = {"max_without_vector": 0.2}


def lose_a_shard(patch: pytest.MonkeyPatch, index: Index, is_lost: Callable[[], bool]) -> None:
    send = MLCommonsHook.send

    def without_a_shard(hook: MLCommonsHook, call: Call) -> Any:
        answer = send(hook, call)
        if call.name == f"read the shards of {index.name}" and is_lost():
            answer[index.name]["shards"].pop("1")
        return answer

    patch.setattr(MLCommonsHook, "send", without_a_shard)


def each_look_without_a_shard(patch: pytest.MonkeyPatch, index: Index, step: Callable[[], Any]) -> int:
    """Run a step until it ends; its first look at the index lacks a shard, the second one of its next try, and so on.
    Return how many did.
    """
    number = 0
    while refused_at(patch, index, step, number):
        number += 1
    return number


def refused_at(patch: pytest.MonkeyPatch, index: Index, step: Callable[[], Any], number: int) -> bool:
    looks = count()
    with patch.context() as patched:
        lose_a_shard(patched, index, lambda: next(looks) == number)
        try:
            step()
        except Unavailable as error:
            if "only 2 of 3 shards answer" not in str(error):
                raise
            return True
    assert next(looks) <= number, f"look {number} lacked a shard, and was taken for the whole index"
    return False


def test_a_red_index_is_not_copied(aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_a_shard(monkeypatch, aliased, lambda: True)
    run = change()
    with pytest.raises(Unavailable, match="articles-old is red: only 2 of 3 shards answer"):
        run.make()
    assert run.new is None


def test_edits_and_deletions_are_carried_from_all_shards(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.filled()
    aliased.edit("a0", body="another text")
    aliased.remove("a1")
    assert each_look_without_a_shard(monkeypatch, aliased, run.carry) >= 2
    assert set(run.new_index.hits) == set(aliased.hits)
    aliased.edit("a2", body="another text")
    aliased.remove("a3")
    assert each_look_without_a_shard(monkeypatch, aliased, run.swap) >= 5
    assert set(run.new_index.hits) == set(aliased.hits)
    assert behind(aliased.cluster) == {run.new_index.name}


def test_a_rollback_carries_from_all_shards(aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    run = change()
    run.through()
    live = Index(aliased.cluster, ALIAS)
    live.edit("a0", title="another title")
    live.remove("a1")
    assert each_look_without_a_shard(monkeypatch, run.new_index, change("back-1").back) >= 3
    assert set(aliased.hits) == set(run.new_index.hits)
    assert behind(aliased.cluster) == {aliased.name}
