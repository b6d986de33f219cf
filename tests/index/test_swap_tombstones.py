"""A document that is deleted, and made again under its id, around the move of the alias: a deletion leaves a version
behind for a minute, which a later write has to get past. Without it a write that comes once more brings the document
back.
"""

from __future__ import annotations

import pytest

from opensearch_batch.beside import moving, tombstones
from opensearch_batch.beside.tombstones import forget_deletions
from opensearch_batch.cluster.hook import MLCommonsHook
from tests.index.bench import Index
from tests.index.beside import ALIAS
from tests.index.test_killed import killed
from tests.index.test_swap_window import LOOSE, Change, around_the_move

AGAIN = {"a2": {"body": "made again"}}


def gc_deletes(index: Index) -> str | None:
    settings = index.cluster.ok("GET", f"/{index.name}/_settings")[index.name]["settings"]["index"]
    found: str | None = settings.get("gc_deletes")
    return found


def test_a_document_made_again_before_the_move_is_there(aliased: Index, change: Change) -> None:
    """The new index counts the vector's writes too, so its version of the deletion is the higher one."""
    run = change(write_back=LOOSE)
    run.filled()
    for number in range(5):
        run.new_index.edit("a2", title=f"write {number}")
    aliased.remove("a2")
    run.carry()
    aliased.add(AGAIN)
    run.swap()
    assert run.new_index.hits["a2"]["_source"]["body"] == "made again"


def test_a_document_made_again_at_the_last_moment_is_carried(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.filled()
    aliased.remove("a2")
    run.carry()
    around_the_move(monkeypatch, lambda: aliased.add(AGAIN))
    swapped = run.swap()
    assert run.new_index.hits["a2"]["_source"]["body"] == "made again"
    assert swapped["after"]["written"] == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_swap_that_is_killed_while_it_forgets_deletions_forgets_them_in_its_next_try(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The killed try has carried the deletion, so the next one carries none."""
    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    aliased.remove("a2")
    killed(run.swap, monkeypatch, tombstones, "keep_deletions", moment)
    assert "a2" not in run.new_index.hits
    around_the_move(monkeypatch, lambda: aliased.add(AGAIN))
    run.swap()
    assert run.new_index.hits["a2"]["_source"]["body"] == "made again"
    assert gc_deletes(run.new_index) is None


def test_a_deletion_that_a_cleared_carry_over_had_carried_is_forgotten(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.filled()
    aliased.remove("a2")
    run.carry()
    assert run.carry()["carried"]["deleted"] == 0
    around_the_move(monkeypatch, lambda: aliased.add(AGAIN))
    run.swap()
    assert run.new_index.hits["a2"]["_source"]["body"] == "made again"


def test_a_document_made_again_at_the_last_moment_of_a_rollback_is_carried(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kept index has deletions of the time when the alias led there."""
    run = change(write_back=LOOSE)
    run.filled()
    aliased.remove("a2")
    run.carry()
    run.swap()
    around_the_move(monkeypatch, lambda: run.new_index.add(AGAIN))
    change("back-1").back()
    assert aliased.hits["a2"]["_source"]["body"] == "made again"


def test_a_document_deleted_by_the_alias_after_the_move_stays_deleted(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.filled()
    aliased.remove("a2")
    run.carry()

    def deleted() -> None:
        """404: it is not there yet."""
        assert aliased.cluster.http.delete(f"/{ALIAS}/_doc/a2").status_code == 404

    around_the_move(monkeypatch, lambda: aliased.add(AGAIN), deleted)
    swapped = run.swap()
    assert "a2" not in run.new_index.hits
    assert swapped["after"]["named"] == ["a2"]


def test_a_swap_that_is_cleared_later_brings_back_nothing_that_was_deleted_since(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    around_the_move(monkeypatch, lambda: aliased.edit("a2", body="edited at the last moment"))
    assert run.swap()["after"]["written"] == 1
    Index(aliased.cluster, ALIAS).remove("a2")
    forget_deletions(MLCommonsHook("corpus").send, run.new_index.name)
    run.swap()
    assert "a2" not in run.new_index.hits


def test_a_rollback_that_is_cleared_later_brings_back_nothing_that_was_deleted_since(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = change(write_back=LOOSE)
    run.through()
    around_the_move(monkeypatch, lambda: run.new_index.edit("a2", body="edited at the last moment"))
    assert change("back-1").back()["after"]["written"] == 1
    Index(aliased.cluster, ALIAS).remove("a2")
    forget_deletions(MLCommonsHook("corpus").send, aliased.name)
    change("back-1").back()
    assert "a2" not in aliased.hits


def test_a_deletion_is_kept_until_the_swap_has_ended(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is lost after the move is found after minutes. An index by itself keeps none here, and the sandbox
    reads its clock at each write.
    """
    monkeypatch.setattr("sandbox.index_face.documents.CLOCK_SECONDS", 0.0)
    aliased.cluster.ok("PUT", f"/{aliased.name}/_settings", {"index.gc_deletes": "0ms"})
    run = change(write_back=LOOSE)
    run.filled()
    run.carry()
    around_the_move(monkeypatch, lambda: aliased.edit("a2", body="edited at the last moment"))
    killed(run.swap, monkeypatch, moving, "_after")
    Index(aliased.cluster, ALIAS).remove("a2")
    run.swap()
    assert "a2" not in run.new_index.hits
    assert gc_deletes(run.new_index) == "0ms"
