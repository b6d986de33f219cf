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
from opensearch_batch.land.counters import counters_of, not_counted
from opensearch_batch.land.metric_names import PREFIX
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
    with worth_no_run():
        memory = context["task_state_store"]
        before = cast("dict[str, int]", memory.get(COUNTED) or {})
        more = not_counted(counters_of(summary, written), before)
        tags = {"dag_id": _dag_id(context), "provider": summary.provider, "model": summary.model}
        for counter in more:
            stats.incr(counter.name, counter.amount, tags=clean_tags(**tags, **counter.tags))
        if more:
            added = {counter.series: before.get(counter.series, 0) + counter.amount for counter in more}
            memory.set(COUNTED, {**before, **added})


def time_turn(context: Context, since: float | None) -> None:
    """Tell how long a task waited for its turn; `since` is in epoch seconds, None or 0 without a wait."""
    if since:
        _time(context, "turn", [time.time() - since])


def time_wait(context: Context, seconds: float | None) -> None:
    """Tell how long a bundle waited for the provider, from the first look of its trigger; None without a wait."""
    if seconds is not None:
        _time(context, "wait", [seconds])


def time_landing(context: Context, outcomes: Sequence[Outcome]) -> None:
    """Tell how long each job took from the look that saw the job's end until its rows had landed."""
    now = time.time()
    seen = [outcome.seen_at for outcome in outcomes]
    _time(context, "landing", [now - each for each in seen if not isinstance(each, UnsetType)])


def clean_tags(**tags: str) -> dict[str, str]:
    """Leave empty tags out, and put _ for what StatsD's lines have a meaning for: Airflow drops a metric that has the
    colon of a model's version in a tag.
    """
    return {name: stats.normalize_name_for_stats(value, log_warning=False) for name, value in tags.items() if value}


def _time(context: Context, name: str, took: Sequence[float]) -> None:
    with worth_no_run():
        for seconds in took:
            stats.timing(
                f"{PREFIX}.{name}", timedelta(seconds=max(0.0, seconds)), tags=clean_tags(dag_id=_dag_id(context))
            )


def _dag_id(context: Context) -> str:
    return context["dag_run"].dag_id


@contextmanager
def worth_no_run() -> Iterator[None]:
    """Log whatever Airflow, its store and its metrics client raise: no metric is worth what has landed, or a wait."""
    try:
        yield
    except Exception as error:
        log.warning("the run's metrics are not complete: %s: %s", type(error).__name__, error)
