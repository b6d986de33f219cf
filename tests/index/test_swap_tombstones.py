"""A document that is deleted, and made again under its id, around the move of the alias: a deletion leaves a version
behind for a minute, which a later write has to get past.
"""

from __future__ import annotations

import pytest  # noqa: TC002

from tests.index.bench import Index  # noqa: TC001
from tests.index.beside import ALIAS
from tests.index.test_swap_window import LOOSE, Change, around_the_move

AGAIN = {"a2": {"body": "made again"}}


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
