"""Values that earlier tasks of a run have given, pulled as nouns: a task id that is empty stands for no task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from opensearch_batch.tasks.base import flat
from opensearch_batch.tasks.earlier_tasks import failed_before, succeeded

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.approval import Approval
    from opensearch_batch.flow.parity import Parity
    from opensearch_batch.flow.stragglers import Stragglers
    from opensearch_batch.flow.values import Value

N = TypeVar("N", bound="Value")


def pulled(context: Context, task_ids: Sequence[str], noun: type[N]) -> list[N]:
    """Return what the tasks have returned, mapped tasks too."""
    values = [context["ti"].xcom_pull(task_ids=task_id) for task_id in task_ids]
    return [noun.from_dict(value) for value in flat(values)]


def approval_of(context: Context, task_id: str) -> Approval | None:
    """None where nobody was asked in this try."""
    from opensearch_batch.flow.approval import Approval
    from opensearch_batch.tasks.approve import APPROVAL

    if not task_id or not succeeded(context, task_id):
        return None
    found = Approval.from_dict(context["ti"].xcom_pull(task_ids=task_id, key=APPROVAL))
    return found if found.was_asked else None


def stragglers_of(context: Context, task_id: str) -> Stragglers | None:
    """None where no row was open, or the task that asks came to no end."""
    from opensearch_batch.flow.stragglers import Stragglers
    from opensearch_batch.tasks.stragglers import STRAGGLERS

    if not task_id or not succeeded(context, task_id):
        return None
    return Stragglers.from_dict(context["ti"].xcom_pull(task_ids=task_id, key=STRAGGLERS))


def parity_of(context: Context, task_id: str) -> Parity | None:
    """Of a check that failed before it had figures, too; None where nothing was to be compared."""
    from opensearch_batch.flow.parity import Parity

    if not task_id:
        return None
    if found := context["ti"].xcom_pull(task_ids=task_id, key="parity"):
        return Parity.from_dict(found)
    if task_id not in failed_before(context):
        return None
    return Parity(shut=f"{task_id} failed before it could compare, see the log there")
