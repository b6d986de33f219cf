"""The triggerer's benchmark at a tiny size: all events come, and it notices where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import Unequal
from benchmarks.waiting import figures, run, sandbox, submitted, table, waits

PLAN: dict[str, Any] = {"alarms": 20, "start_seconds": 3.0, "wait_seconds": 3.0, "end_seconds": 6.0}


def test_waits_beside_alarms_of_others_in_a_triggerer(tmp_path: Path) -> None:
    with sandbox(tmp_path) as client:
        jobs = submitted(client, 8)
        seen = run(tmp_path, client, PLAN | {"waits": waits(jobs, 2, poll_seconds=0.5)})
        told = figures(seen, intervals=6)
        with pytest.raises(Unequal, match="not all events came"):
            run(tmp_path, client, PLAN | {"alarms": 200, "waits": [], "start_seconds": 0.1, "end_seconds": 0.1})
    assert 0 < told["of these pages of the list"] < told["requests of ours an interval"] < 8
    assert told["others' events late p99 s, waiting"] > 0
    assert "| loop lag max ms, waiting |" in table({"ours": [told], "alone": [told]})
