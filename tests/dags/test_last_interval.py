"""A run started without a date is about the last interval that was complete when it was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.timetables import interval
from airflow.timetables.base import TimeRestriction

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


@pytest.mark.parametrize(
    ("expression", "timezone", "run_after", "partition"),
    [
        ("0 2 * * *", "America/New_York", "2024-03-10T12:00:00-04:00", "2024-03-09"),
        ("0 2 * * *", "America/New_York", "2024-03-10T03:00:00-04:00", "2024-03-09"),
        ("0 2 * * *", "America/New_York", "2024-03-10T01:59:00-05:00", "2024-03-08"),
        ("0 2 * * *", "America/New_York", "2024-03-11T01:59:00-04:00", "2024-03-09"),
        ("0 2 * * *", "America/New_York", "2024-03-11T02:00:00-04:00", "2024-03-10"),
        ("30 2 * * *", "Europe/Berlin", "2024-03-31T12:00:00+02:00", "2024-03-30"),
        ("30 2 * * *", "Europe/Berlin", "2024-03-31T03:00:00+02:00", "2024-03-29"),
        ("30 2 * * *", "Europe/Berlin", "2024-10-27T12:00:00+01:00", "2024-10-26"),
        ("30 2 * * *", "Australia/Sydney", "2024-10-06T12:00:00+11:00", "2024-10-05"),
        ("0 2 * * *", "Australia/Lord_Howe", "2024-10-06T12:00:00+11:00", "2024-10-05"),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-04T12:00:00-02:00", "2018-11-03"),
        ("0 2 * * *", "Pacific/Apia", "2011-12-31T12:00:00+14:00", "2011-12-29"),
        ("30 2 * * 0", "Europe/Berlin", "2024-04-03T12:00:00+02:00", "2024-03-24"),
        ("30 2 31 3 *", "Europe/Berlin", "2024-06-01T12:00:00+02:00", "2023-03-31"),
        ("30 1 * * *", "America/New_York", "2024-11-03T01:54:00-04:00", "2024-11-01"),
        ("30 1 * * *", "America/New_York", "2024-11-03T01:30:00-05:00", "2024-11-02"),
    ],
)
def test_the_last_complete_interval_where_clocks_change(
    expression: str, timezone: str, run_after: str, partition: str
) -> None:
    timetable = CronDataIntervalTimetable(expression, timezone=timezone)
    assert placeholders(started(run_after, timetable), "%Y-%m-%d")["partition"] == partition


@pytest.mark.parametrize(
    ("expression", "timezone", "around"),
    [
        ("0 2 * * *", "America/New_York", "2024-03-10T07:00:00+00:00"),
        ("30 2 * * *", "Europe/Berlin", "2024-03-31T01:00:00+00:00"),
        ("*/10 2 * * *", "Europe/Berlin", "2024-03-31T01:00:00+00:00"),
        ("*/20 1 * * *", "America/New_York", "2024-11-03T06:00:00+00:00"),
        ("0 */2 * * *", "Australia/Lord_Howe", "2024-10-05T15:30:00+00:00"),
    ],
)
def test_it_is_one_that_the_scheduler_runs(expression: str, timezone: str, around: str) -> None:
    """Asked every ten minutes around a change of the clocks, and now and then until a day later."""
    schedule, change = scheduled(expression, timezone, around)
    timetable = CronDataIntervalTimetable(expression, timezone=timezone)
    for minutes in (*range(-90, 240, 10), *range(240, 26 * 60, 120)):
        moment = change.add(minutes=minutes)
        (last,) = [each for each in schedule if each.end <= moment][-1:]
        asked = placeholders(started(moment.isoformat(), timetable), "%Y-%m-%dT%H.%M")["partition"]
        assert asked == last.start.in_timezone(timezone).strftime("%Y-%m-%dT%H.%M"), moment


def scheduled(expression: str, timezone: str, around: str) -> tuple[list[Any], Any]:
    """The intervals that Airflow's scheduler makes runs for, one after the other; and the moment."""
    change = pendulum.parse(around)
    assert isinstance(change, pendulum.DateTime)
    timetable = interval.CronDataIntervalTimetable(expression, timezone)
    found: list[Any] = []
    ever = TimeRestriction(change.subtract(days=5), None, True)
    while not found or found[-1].start < change.add(days=2):
        info = timetable.next_dagrun_info(last_automated_data_interval=found[-1] if found else None, restriction=ever)
        assert info
        found.append(info.data_interval)
    return found, change
