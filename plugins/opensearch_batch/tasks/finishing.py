"""Finishing: when a run's wait for batches ends, as its tasks know it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opensearch_batch.wait.finishing import finish_at

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.spec import BatchSpec


def finish_of(context: Context, spec: BatchSpec | None) -> float | None:
    """Return the epoch seconds of `wait.finish_by`; None without one. Of a run that is cleared when it has ended, the
    start is its new start.
    """
    if spec is None or spec.wait.finish_by is None:
        return None
    run = context["dag_run"]
    return finish_at(spec.wait.finish_by, run.start_date or run.run_after, context["dag"].timezone)


def is_finished(context: Context, spec: BatchSpec | None) -> bool:
    """Whether that moment has come."""
    finish = finish_of(context, spec)
    return finish is not None and time.time() >= finish
