"""Preflight: what cannot end well is refused with its figures; what is said about the end is no promise of ours."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import Terminal
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.prepare.preflight import Preflight, check

PLAN = Plan("key", 1000, 12, 5_000, 90_000, None, None, None)


def checked(stored: int = 0, **limits: int) -> Preflight:
    return check(PLAN, stored_bytes=stored, storage_bytes=20_000, window_hours=24, **limits)


def test_input_files_that_just_fit_are_let_through() -> None:
    assert checked(15_000).upload_bytes == 5_000


@pytest.mark.parametrize(("stored", "room"), [(15_001, 4_999), (20_000, 0), (30_000, 0)])
def test_one_byte_too_many_is_refused_with_the_figures(stored: int, room: int) -> None:
    said = rf"uploads 5000 bytes, .*has room for {room}: {stored} of 20000 bytes are taken. Nothing was sent"
    with pytest.raises(Terminal, match=said):
        checked(stored)


@pytest.mark.parametrize(
    ("limits", "fills", "hours"),
    [
        ({}, None, None),
        ({"max_enqueued_tokens": 90_000}, 1, 24),
        ({"max_enqueued_tokens": 89_999}, 2, 48),
        ({"max_jobs_in_flight": 5}, 3, 72),
        ({"max_jobs_in_flight": 5, "max_enqueued_tokens": 20_000}, 5, 120),
    ],
)
def test_the_end_is_a_window_for_each_fill(limits: dict[str, int], fills: int | None, hours: float | None) -> None:
    found = checked(**limits)
    assert (found.fills, found.hours_at_most) == (fills, hours)


def test_it_is_told_in_one_line() -> None:
    start = "1000 rows, 12 files, 5000 bytes to upload to the provider, which holds 20000 with "
    tokens = "; an estimated 90000 tokens, "
    assert str(checked(7)) == f"{start}7 that lie there{tokens}each batch ends within 24 hours of its submission"
    assert str(checked(7, max_jobs_in_flight=4)).endswith("in flight at once in 3 fills, so ended within 72 hours")
    unasked = check(PLAN, stored_bytes=None, storage_bytes=20_000, window_hours=24)
    assert str(unasked).startswith(f"{start}what lies there{tokens}")


def test_files_that_alone_are_too_many_are_refused_without_asking() -> None:
    with pytest.raises(Terminal, match="has room for 4000: 0 of 4000 bytes are taken"):
        check(PLAN, stored_bytes=None, storage_bytes=4_000, window_hours=24)


def test_files_of_the_run_that_lie_there_are_not_uploaded_again() -> None:
    found = check(PLAN, upload_bytes=1_000, stored_bytes=19_000, storage_bytes=20_000, window_hours=24)
    assert found.upload_bytes == 1_000
    said = "uploads 1001 bytes, .* 19000 of 20000 bytes are taken, 3999 by files of this run, .*: leave those. Nothing"
    with pytest.raises(Terminal, match=said):
        check(PLAN, upload_bytes=1_001, stored_bytes=19_000, storage_bytes=20_000, window_hours=24)
