"""Rollback: the alias leads to the kept index again, with what was edited since; or nothing changes, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.beside import moving
from tests.index.bench import Fill, Index, articles
from tests.index.beside import ALIAS, OLD, Beside, behind, lead
from tests.index.test_killed import killed
from tests.index.test_swap_window import around_the_move
from tests.sandbox.bench import Run

Change = Callable[..., Beside]


def test_the_alias_leads_to_the_kept_index_again(aliased: Index, change: Change) -> None:
    before = aliased.hits
    run = change()
    run.through()
    new = run.new_index
    swapped = change("back-1").back()
    assert behind(aliased.cluster) == {aliased.name}
    assert (swapped["index"], swapped["kept"], swapped["documents"]) == (aliased.name, new.name, 40)
    assert aliased.hits == before
    assert new.vectors == set(before), "the newer one stays"


def test_what_was_edited_since_the_swap_is_brought_back(aliased: Index, change: Change, tmp_path: Any) -> None:
    run = change()
    run.through()
    new = run.new_index
    new.edit("a0", body="another text")
    new.edit("a1", title="another title")
    new.remove("a2")
    new.add({"new": {"title": "t", "body": "a text that is new"}})
    by_alias = {"input": {"uri": f"opensearch://corpus/{ALIAS}"}}
    Fill(Run(tmp_path, "night"), new, run.model_id, by_alias).through()
    swapped = change("back-1").back()
    hits = aliased.hits
    assert {name: _told(hit) for name, hit in hits.items()} == {name: _told(hit) for name, hit in new.hits.items()}
    assert set(hits) - aliased.vectors == {"a0", "new"}, "no vector of the newer model, none of a former text"
    assert {hit["_source"]["vector_provenance"]["model"] for name, hit in hits.items() if name in aliased.vectors} == {
        "old"
    }
    assert hits["a1"]["_source"]["vector"] == OLD["vector"]
    assert (swapped["carried"]["deleted"], swapped["without_vector"]) == (1, 2)


def _told(hit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hit["_source"].items() if not name.startswith("vector")}


def test_a_rollback_before_the_swap_has_ended_loses_no_document(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old index took at the last moment is in no other, and must not be taken for deleted in the new one."""
    run = change()
    run.filled()
    run.carry()
    with monkeypatch.context() as patched:
        around_the_move(patched, lambda: aliased.add({"new": {"body": "made at the last moment"}}))
        killed(run.swap, patched, moving, "_after", "before")
    Index(aliased.cluster, ALIAS).remove("a5")
    change("back-1").back()
    assert behind(aliased.cluster) == {aliased.name}
    assert set(aliased.hits) == set(run.new_index.hits) == (set(articles(40)) - {"a5"}) | {"new"}


def test_an_index_that_a_move_has_not_ended_to_leave_is_not_removed(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = change()
    first.filled()
    first.carry()
    killed(first.swap, monkeypatch, moving, "_after", "before")
    second = change("change-2", write_back={"remove_older": True})
    second.index = first.new_index
    swapped = second.through()["swapped"]
    assert (swapped["kept"], swapped["older"], swapped["removed"]) == (first.new_index.name, [], [])
    assert len(aliased.hits) == 40


def test_without_edits_it_goes_back_at_once(aliased: Index, change: Change) -> None:
    run = change()
    run.through()
    run.new_index.edit("a0", title="another title")
    assert change("back-1").back(carry_edits=False)["carried"]["written"] == 0
    assert behind(aliased.cluster) == {aliased.name}
    assert aliased.hits["a0"]["_source"]["title"] == "title 0"


def test_the_same_rollback_again_changes_nothing_and_another_is_refused(aliased: Index, change: Change) -> None:
    run = change()
    run.through()
    change("back-1").back()
    change("back-1").back()
    assert behind(aliased.cluster) == {aliased.name}
    with pytest.raises(AirflowFailException, match="was rolled back to articles-old already") as refused:
        change("back-2").back()
    assert f'"add": {{"index": "{run.new_index.name}", "alias": "live"}}' in str(refused.value)


def test_after_a_rollback_another_run_may_change_the_model(aliased: Index, change: Change) -> None:
    change().through()
    change("back-1").back()
    again = change("change-2")
    again.through()
    assert behind(aliased.cluster) == {again.new_index.name}
    change("back-2").back()
    assert behind(aliased.cluster) == {aliased.name}


def test_an_alias_that_no_run_has_moved_stays(aliased: Index, change: Change) -> None:
    with pytest.raises(AirflowFailException, match="nothing is kept for alias live: it leads to articles-old"):
        change().back()
    assert behind(aliased.cluster) == {aliased.name}


def test_a_kept_index_that_is_gone_is_named(aliased: Index, change: Change) -> None:
    run = change()
    run.through()
    aliased.cluster.delete(aliased.name)
    with pytest.raises(AirflowFailException, match="nothing is kept for alias live: articles-old, .* is gone"):
        change("back-1").back()
    aliased.cluster.index(aliased.name)
    with pytest.raises(AirflowFailException, match="articles-old is another index than alias live was moved from"):
        change("back-1").back()
    assert behind(aliased.cluster) == {run.new_index.name}


def test_an_alias_that_somebody_else_moved_stays(aliased: Index, change: Change) -> None:
    run = change()
    run.through()
    other = aliased.cluster.index("articles-by-hand")
    moved = [{"remove": {"index": run.new_index.name, "alias": ALIAS}}, {"add": {"index": other.name, "alias": ALIAS}}]
    aliased.cluster.ok("POST", "/_aliases", {"actions": moved})
    with pytest.raises(AirflowFailException, match="it leads to articles-by-hand, and no run has moved it there"):
        change("back-1").back()
    lead(aliased.cluster, ALIAS, aliased)
    with pytest.raises(AirflowFailException, match="Take off what does not belong: POST _aliases"):
        change("back-1").back()
