"""The benchmark of the metrics at a tiny size: what it says was told is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import metrics_cost
from benchmarks.measure import Task, Unequal, run
from benchmarks.metrics_cost import SIDES, listening, measured, table


def test_a_tiny_round(tmp_path: Path) -> None:
    landing, looks, sides = measured(tmp_path, scale=0.02, rounds=1)
    assert looks > 24
    assert list(sides) == list(SIDES)
    assert min(landing, *sides.values()) > 0
    assert "| StatsD |" in table(landing, sides)


def test_a_side_that_tells_nothing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_cost, "SIDES", {"no metrics system": "metrics_cost:to_nobody"})
    with pytest.raises(Unequal, match="the collector was told nothing"):
        measured(tmp_path, scale=0.02, rounds=1)


def test_a_port_that_is_told_nothing_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Unequal, match="StatsD was told nothing"), listening(tmp_path):
        run("metrics_cost:to_nobody", Task(str(tmp_path), "", 0.02))
