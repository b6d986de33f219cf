"""A run started without a date is about the last interval that was complete when it was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk import CronDataIntervalTimetable

from opensearch_batch.tasks.partition import placeholders

NIGHTLY = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")


def started(run_after: str, timetable: Any = NIGHTLY, conf: dict[str, Any] | None = None) -> Any:
    run = SimpleNamespace(conf=conf, partition_key=None, run_id="manual", run_after=pendulum.parse(run_after))
    return {"dag_run": run, "dag": SimpleNamespace(timetable=timetable)}


@pytest.mark.parametrize(
    ("run_after", "partition"),
    [
        ("2026-02-01T12:00:00+00:00", "2026-01-31"),
        ("2026-02-01T02:00:00+00:00", "2026-01-31"),
        ("2026-02-01T01:59:59+00:00", "2026-01-30"),
        ("2026-02-01T03:30:00+05:30", "2026-01-30"),
    ],
)
def test_the_last_complete_interval_of_the_schedule(run_after: str, partition: str) -> None:
    assert placeholders(started(run_after), "%Y-%m-%d")["partition"] == partition


def test_the_conf_wins() -> None:
    assert placeholders(started("2026-02-01", conf={"partition": "2025-12-24"}), "%Y")["partition"] == "2025-12-24"


def test_a_dag_without_a_schedule_has_no_partition() -> None:
    assert placeholders(started("2026-02-01", SimpleNamespace()), "%Y")["partition"] is None
