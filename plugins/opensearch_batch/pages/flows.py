"""Flows of a run: which of them a task is of, by the task group in which the input is prepared. Values in, values
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from opensearch_batch.pages.stored import Pushed


def flows_of(pushed: Iterable[Pushed]) -> list[str]:
    """Return the task groups whose flows have a plan; empty is the flow at the top of the DAG. Chains wired by hand
    side by side in one group are one flow here.
    """
    return sorted({each.task_id.rpartition(".")[0] for each in pushed if each.name == "plan" and _is_plan(each.value)})


def flow_at(flows: Iterable[str], task_id: str) -> str | None:
    """Return the flow that a task is of; None for a task outside all."""
    around = [flow for flow in flows if not flow or task_id.startswith(f"{flow}.")]
    return max(around, key=len, default=None)


def of_flow(pushed: Sequence[Pushed], flows: Sequence[str], flow: str) -> list[Pushed]:
    """Return what the flow's tasks have pushed, and what the tasks outside all flows have."""
    return [each for each in pushed if flow_at(flows, each.task_id) in (flow, None)]


def _is_plan(value: Any) -> bool:
    """Whether it is no value of somebody else's task under the same name."""
    return isinstance(value, dict) and "estimated_tokens" in value
