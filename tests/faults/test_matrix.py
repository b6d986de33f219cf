"""The matrix as text, and the page that is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults import last_run
from tests.faults.matrix import Played, guard_counts, is_clean, page, summary, with_new

OK = Played("openai", "task killed", "after its answer", (), (), 1, 42, 1.25, cleared=False, date="2026-11-28")
RED = replace(OK, step="at resume", problems=("rows lost: a",))
GUARDED = replace(OK, fault="job accepted late", scenario=True)
UNGUARDED = replace(GUARDED, removed=("settle",), problems=("paid more than once: a",))


def test_a_cell_says_what_it_cost_and_a_fault_that_was_not_played_is_no_ok() -> None:
    lines = page([OK, replace(RED, fault="clear")], 200).splitlines()
    assert "| after its answer | ok: 1, 42, 1.2 | – |" in lines
    assert "| at resume | – | **red**: 1, 42, 1.2 |" in lines
    assert "Played 2026-11-28: 2 of the 200 cells of `make faults`. 1 ended well, 1 did not." in lines


def test_red_cells_without_a_guard_are_the_proof_and_no_fault() -> None:
    assert guard_counts([OK, GUARDED, UNGUARDED]) == [("settle", "the settle time", 1, 1)]
    assert summary([OK, GUARDED, UNGUARDED]) == "2 cells, 2 ok, 0 red\nwithout settle: 1 cells, 1 red"
    assert is_clean([OK, GUARDED, UNGUARDED])


@pytest.mark.parametrize("wrong", [RED, replace(UNGUARDED, problems=())], ids=["a red cell", "a guard without need"])
def test_what_is_not_clean(wrong: Played) -> None:
    assert not is_clean([OK, wrong])


def test_a_cell_is_kept_as_it_was_played_last() -> None:
    again = replace(RED, problems=())
    assert with_new([RED, OK], [again]) == [again, OK]
    moved = replace(GUARDED, step="after its answer")
    moved_on = replace(moved, step="before the submission is noted")
    assert with_new([moved], [moved_on]) == [moved_on], "one cell, at whatever step it strikes now"


def test_the_page_is_made_from_the_cells_that_are_kept() -> None:
    played = last_run.read()
    assert played
    assert page(played, last_run.count()) == last_run.PAGE.read_text(encoding="utf-8")
