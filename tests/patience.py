"""Tests that wait for something do so until it comes, or until nothing moves any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from stack.patience import Patience

IDLE_SECONDS = 90.0
LOOKS = 3000
T = TypeVar("T")


def eventually(what: str, check: Callable[[], T], progress: Callable[[], object] = lambda: None) -> T:
    """The first true value of `check`; fails when `progress` has told the same for IDLE_SECONDS.

    Say what may move for what takes several steps of Airflow's: `run.progress` of a DAG run.
    """
    for value in Patience(IDLE_SECONDS, progress).looks(check):
        if value:
            return value
    raise AssertionError(f"{what}: nothing moved for {IDLE_SECONDS:.0f} s")


def until(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """Look again and again until it is good. Who answers the looks gets on with each: they are what is counted."""
    for _ in range(LOOKS):
        began = time.monotonic()
        if good(found := look()):
            return found
        time.sleep(max(0.01, time.monotonic() - began))  # half of the time is left to who answers
    raise AssertionError(f"still {found!r} after {LOOKS} looks")
