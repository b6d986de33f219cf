"""Metrics: runs in the system to which Airflow sends metrics of its own (`[metrics]` of airflow.cfg: StatsD or
OpenTelemetry). Without such a system nothing is sent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from airflow.sdk.observability import stats
from msgspec import UnsetType

from opensearch_batch.flow.jobs import Outcome
from opensearch_batch.flow.written import Written
from opensearch_batch.land.counters import PREFIX, counters_of, not_counted
from opensearch_batch.land.summary import Summary

if TYPE_CHECKING:
    from airflow.sdk import Context

COUNTED = "counted"
"""Key of the report's note of what it has added."""

log = logging.getLogger(__name__)


def count_run(context: Context, summary: Summary, written: Written | None) -> None:
    """Add a run's figures to the counters, tagged with DAG, provider and model.

    A report that is cleared, or tried again, adds the difference only: a note in the task's state store says what is
    counted. A report killed between counting and noting counts twice.
    """
    with _worth_no_run():
        memory = context["task_state_store"]
        before = cast("dict[str, int]", memory.get(COUNTED) or {})
        more = not_counted(counters_of(summary, written), before)
        tags = {**_of(context), "provider": summary.provider, "model": summary.model}
        for counter in more:
            stats.incr(counter.name, counter.amount, tags={**tags, **counter.tags})
        if more:
            added = {counter.series: before.get(counter.series, 0) + counter.amount for counter in more}
            memory.set(COUNTED, {**before, **added})


def time_wait(context: Context, seconds: float | None) -> None:
    """Tell how long a bundle waited for the provider, from the first look of its trigger; None without a wait."""
    if seconds is not None:
        with _worth_no_run():
            stats.timing(f"{PREFIX}.wait", timedelta(seconds=seconds), tags=_of(context))


def time_landing(context: Context, outcomes: Sequence[Outcome]) -> None:
    """Tell how long each job took from the look that saw the job's end until its rows had landed."""
    now = time.time()
    with _worth_no_run():
        for outcome in outcomes:
            if not isinstance(outcome.seen_at, UnsetType):
                took = timedelta(seconds=now - outcome.seen_at)
                stats.timing(f"{PREFIX}.landing", took, tags=_of(context))


def _of(context: Context) -> dict[str, str]:
    return {"dag_id": context["dag_run"].dag_id}


@contextmanager
def _worth_no_run() -> Iterator[None]:
    """Log whatever Airflow, its store and its metrics client raise: what has landed is not lost for a metric."""
    try:
        yield
    except Exception as error:
        log.warning("the run's metrics are not complete: %s: %s", type(error).__name__, error)
