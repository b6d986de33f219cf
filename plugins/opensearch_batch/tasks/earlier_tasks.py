"""Earlier tasks of a run: how those before a task have ended, in the present try."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context


def failed_before(context: Context) -> list[str]:
    """Name the upstream tasks that failed in this run, e.g. "shard.submit_batch [3]", without upstream_failed tasks."""
    names = _upstream(context)
    failed = sorted(name for name, state in _states(context, names).items() if state == "failed")
    return [name if name in names else re.sub(r"_(\d+)$", r" [\1]", name) for name in failed]


def was_not_reached(context: Context, task_id: str) -> bool:
    """Whether a task did not run in this try, because one before it failed: what it gave is of an earlier try."""
    return _states(context, _upstream(context)).get(task_id) == "upstream_failed"


def succeeded(context: Context, task_id: str) -> bool:
    """Whether the task has succeeded: a skipped task leaves what an earlier try of the run gave."""
    return _states(context, [task_id]).get(task_id) == "success"


def _upstream(context: Context) -> list[str]:
    return sorted(context["task"].get_flat_relative_ids(upstream=True))


def _states(context: Context, names: list[str]) -> dict[str, str]:
    """By task id, with the index after it for a mapped task."""
    run = context["dag_run"]
    states = context["ti"].get_task_states(dag_id=run.dag_id, task_ids=names, run_ids=[run.run_id])
    found: dict[str, str] = states.get(run.run_id, {})
    return found
