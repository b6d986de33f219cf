"""Ask first: the approval wired between plan and submission of a flow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.approve import ApprovePlanOperator

if TYPE_CHECKING:
    from opensearch_batch.tasks.prepare import PrepareInputOperator

TASK_ID = "approve"
ABOVE = "limits.ask_above_usd"
ASKED = (
    "Asks whether the run may be paid for, where its estimate is above `limits.ask_above_usd`: see Required Actions. "
    "Rejected, the run sends nothing and ends as a success."
)


def may_ask(spec: BatchSpec | str, overrides: Any) -> bool:
    """Whether a run may have to ask. A template's spec is not known when the DAG is parsed, so it may."""
    if isinstance(spec, str):
        return True
    return spec.limits.ask_above_usd is not None or (isinstance(overrides, dict) and ABOVE in overrides)


def ask_first(prepare: PrepareInputOperator, before: Iterable[Any]) -> ApprovePlanOperator:
    """Wire the approval after `prepare` and directly before these tasks: a rejection skips them, whatever their rules.
    The report must not be one of them.
    """
    approve = ApprovePlanOperator(task_id=TASK_ID, planned_by=prepare.task_id, doc_md=ASKED)
    prepare >> approve
    for task in before:
        approve >> task
    return approve
