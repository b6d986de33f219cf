"""The triggerer's benchmark at a tiny size: all events come, and it notices where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import Unequal
from benchmarks.waiting import figures, run, sandbox, submitted, table, waits

PLAN: dict[str, Any] = {"alarms": 20, "start_seconds": 3.0, "wait_seconds": 3.0, "end_seconds": 6.0}


PAGES = "of these pages of the list"


def measured(folder: Path, slower: int) -> dict[str, float]:
    """Of eight jobs. On a busy machine no trigger may have come to a look within the plan's few seconds."""
    intervals = 6 * slower
    plan = PLAN | {"start_seconds": 3.0 * slower, "wait_seconds": intervals * 0.5}
    folder.mkdir()
    with sandbox(folder) as client:
        jobs = submitted(client, 8)
        return figures(run(folder, client, plan | {"waits": waits(jobs, 2, poll_seconds=0.5)}), intervals)


def test_waits_beside_alarms_of_others_in_a_triggerer(tmp_path: Path) -> None:
    told = next(told for slower in (1, 4, 16) if (told := measured(tmp_path / str(slower), slower))[PAGES])
    (tmp_path / "late").mkdir()
    with sandbox(tmp_path / "late") as client, pytest.raises(Unequal, match="not all events came"):
        run(tmp_path / "late", client, PLAN | {"alarms": 200, "waits": [], "start_seconds": 0.1, "end_seconds": 0.1})
    assert 0 < told[PAGES] < told["requests of ours an interval"] < 8
    assert told["others' events late p99 s, waiting"] > 0
    assert "| loop lag max ms, waiting |" in table({"ours": [told], "alone": [told]})
