"""The facts a run tells: the partition, in every kind of run that Airflow has, and the keys of the run's conf."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.forced import FORCE
from opensearch_batch.wrong_field import unknown_key

if TYPE_CHECKING:
    from airflow.sdk import Context

KEYS = frozenset({"partition", FORCE})
"""Keys of a conf that every run understands."""

NOT_OURS = frozenset({"openlineage"})
"""Keys that Airflow adds to a conf: TriggerDagRunOperator does, with the OpenLineage provider installed. Source:
https://github.com/apache/airflow/blob/main/providers/standard/src/airflow/providers/standard/utils/openlineage.py
"""


BEYOND_ANY_SHIFT = timedelta(days=2)
"""Clocks are set by an hour mostly; Samoa left out a day in 2011."""


def refuse_unknown_conf(context: Context) -> None:
    """Raise SpecError for a key of the run's conf that is no param of the DAG or the task, and none of KEYS.

    Airflow takes any key. A mistyped key would leave the param at the default, and the default may be to run
    everything.
    """
    known = sorted({*KEYS, *context["dag"].params, *context["task"].params})
    for key in sorted(context["dag_run"].conf or {}):
        if key not in known and key not in NOT_OURS:
            raise SpecError(
                f"the run's conf: {unknown_key(key, known)} (known: {', '.join(known)}). "
                "What other tasks read from the conf has to be a param of the DAG."
            )


def placeholders(context: Context, partition_format: str) -> dict[str, str | None]:
    """Return values for BatchSpec.resolve; `partition` is None for a run without a partition.

    In this order: `partition` in the run's conf, the run's partition key, the start of the run's data interval, and for
    a run started without a date the last interval complete at the start of the run.
    """
    run = context["dag_run"]
    named = (run.conf or {}).get("partition") or getattr(run, "partition_key", None)
    if named is not None and not isinstance(named, str):
        raise SpecError(f'partition {named!r} is no text; name it as in the input\'s address, e.g. "2026-01-31"')
    start = named or _interval_start(context) or _last_complete(context)
    partition = start if isinstance(start, str) or start is None else start.strftime(partition_format)
    return {
        "partition": partition and _segment(partition),
        "run_id": re.sub(r"[^A-Za-z0-9._-]+", "-", run.run_id).strip(".-"),
    }


def _interval_start(context: Context) -> Any:
    """In the timetable's own time zone. An interval of no length, as runs by hand may have, says nothing."""
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or (start == end and "manual" in str(context["dag_run"].run_type)):
        return None
    timezone = getattr(getattr(context["dag"], "timetable", None), "timezone", None)
    return start.in_timezone(timezone) if timezone else start


def _last_complete(context: Context) -> Any:
    timetable = getattr(context["dag"], "timetable", None)
    expression, timezone = getattr(timetable, "expression", None), getattr(timetable, "timezone", None)
    if expression is None or timezone is None:
        return None
    import pendulum
    from airflow.timetables.interval import CronDataIntervalTimetable

    schedule = CronDataIntervalTimetable(expression, timezone)
    return _ended_by(schedule, pendulum.instance(context["dag_run"].run_after)).start.in_timezone(timezone)


def _ended_by(schedule: Any, moment: Any) -> Any:
    """The schedule's last interval whose end has come.

    Airflow's own answer has no length where the clocks skip its start, and ends later than the moment within an hour
    that the clocks repeat. Its scheduler goes from each interval to the next, and so does this, from days before.
    """
    told = schedule.infer_manual_data_interval(run_after=moment)
    if told.start < told.end <= moment:
        return told
    from airflow.timetables.base import TimeRestriction

    ever = TimeRestriction(earliest=None, latest=None, catchup=True)
    last = schedule.infer_manual_data_interval(run_after=told.end - BEYOND_ANY_SHIFT)
    while (following := _after(schedule, last, ever)).end <= moment:
        last = following
    return last


def _after(schedule: Any, interval: Any, restriction: Any) -> Any:
    return schedule.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction).data_interval


def _segment(partition: str) -> str:
    """Refuse a partition that would leave the folder: partitions become path segments."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:+=-]*", partition):
        raise SpecError(
            f"partition {partition!r} may have letters, digits and . _ : + = - only, and starts with a letter or digit"
        )
    return partition
