"""What runs have left in Airflow's database for the pages. Airflow's models are no public API, and are imported here
alone, inside functions: all processes of Airflow load the plugin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from opensearch_batch.land.summary import SUMMARY, Summary
from opensearch_batch.pages.told import ToldJob, ToldLook, ToldOutcome, ToldPlan, ToldSpec, told, told_json

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

RETURNED = {
    "CreateConnectorOperator": "connector_id",
    "RegisterModelOperator": "model_id",
    "PrepareInputOperator": "bundles",
    "PrepareRepairOperator": "bundles",
    "SubmitBatchOperator": "jobs",
    "BatchSensor": "outcomes",
    "FetchOutputOperator": "landed",
    "AnswerStragglersOperator": "landed",
}
"""By operator, what its return value is."""
OF_A_RUN = ("plan", "spec", "approval", "report")
OF_A_TASK = {("BatchSensor", "waiting"): "waiting", ("SubmitBatchOperator", "_link_ProviderLink"): "link"}
"""By operator and key, the value's name. Airflow keeps a link of tasks/links.py under the name of its class."""
SHAPES: dict[tuple[str, str], tuple[str, Any]] = {
    ("PrepareInputOperator", "spec"): ("spec", ToldSpec),
    ("PrepareInputOperator", "plan"): ("plan", ToldPlan),
    ("SubmitBatchOperator", "return_value"): ("jobs", list[ToldJob]),
    ("BatchSensor", "waiting"): ("waiting", ToldLook),
    ("BatchSensor", "return_value"): ("outcomes", list[ToldOutcome]),
}
"""Of a live run: by operator and key, the value's name and shape."""
SUBMITTING = ("SubmitBatchOperator", "BatchSensor")
NOT_BEGUN = ("scheduled", "queued", "up_for_retry", "deferred")
ASKING = ("ApprovePlanOperator", "awaiting_input")
TURN = "opensearch_batch.turn.TurnTrigger"
INSTANCE = ("dag_id", "run_id", "task_id", "map_index")


@dataclass(frozen=True)
class Pushed:
    """A value that a task instance has pushed. `map_index` is -1 for a task that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    name: str
    value: Any


@dataclass(frozen=True)
class Held:
    """A task instance that has jobs to submit and does not run. `turn` has the arguments of its wait for a turn."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    pool: str
    tries: int
    turn: dict[str, Any] | None


class Ended(NamedTuple):
    """A run's summary; `at` is when it was pushed."""

    dag_id: str
    run_id: str
    at: datetime
    summary: Summary


def pushed_in_run(session: Session, dag_id: str, run_id: str) -> Iterator[Pushed]:
    """Yield what the run's tasks pushed. A value that an XCom backend keeps elsewhere is the backend's name of it: no
    value is deserialized, as none of ours needs it. What tasks pushed that were cleared, and have not begun anew, or
    that are there no more, is left out.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel

    keys = [*OF_A_RUN, *(key for _, key in OF_A_TASK)]
    begun = TaskInstance.state != "removed"  # nor null, as of a task that was cleared
    of_run = _run(dag_id, run_id).scalar_subquery()  # the XComs' key begins with it
    wanted = _pushed(keys, [*RETURNED]).where(XComModel.dag_run_id == of_run, begun)
    for row in session.execute(wanted):
        name = _name_of(str(row.operator), row.key)
        if name:
            yield Pushed(row.dag_id, row.run_id, row.task_id, row.map_index, name, row.value)


def _name_of(operator: str, key: str) -> str | None:
    if key == "return_value":
        return RETURNED[operator]
    return key if key in OF_A_RUN else OF_A_TASK.get((operator, key))


def has_run(session: Session, dag_id: str, run_id: str) -> bool:
    return session.execute(_run(dag_id, run_id)).first() is not None


def _run(dag_id: str, run_id: str) -> Select[Any]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)


def pushed_in_live_runs(session: Session) -> Iterator[Pushed]:
    """Yield what tells of jobs, in the shapes of told.py, for all runs that have not ended."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel

    live = _pushed([key for _, key in SHAPES], [*SUBMITTING]).join(DagRun, DagRun.id == XComModel.dag_run_id)
    for row in session.execute(live.where(DagRun.state == "running")):
        name, shape = SHAPES.get((str(row.operator), row.key), ("", None))
        value = None if shape is None else told(row.value, shape)
        if value is not None:
            yield Pushed(row.dag_id, row.run_id, row.task_id, row.map_index, name, value)


def held_tasks(session: Session) -> Iterator[Held]:
    """Yield the tasks of live runs that wait before they submit: for an approval, a turn, a pool slot, a worker, or a
    retry.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Task
    from airflow.models.trigger import Trigger
    from sqlalchemy import and_, or_, select
    from sqlalchemy.orm import lazyload

    not_begun = and_(Task.operator == SUBMITTING[0], Task.state.in_(NOT_BEGUN))
    turned_away = and_(Task.operator == SUBMITTING[1], Trigger.classpath == TURN)
    asking = and_(Task.operator == ASKING[0], Task.state == ASKING[1])
    columns = (Task.dag_id, Task.run_id, Task.task_id, Task.map_index, Task.state, Task.pool, Task.try_number)
    wanted = (
        select(*columns, Trigger)
        .join(DagRun, and_(DagRun.dag_id == Task.dag_id, DagRun.run_id == Task.run_id))
        .outerjoin(Trigger, Trigger.id == Task.trigger_id)
        .where(DagRun.state == "running", or_(not_begun, turned_away, asking))
        .order_by(Task.dag_id, Task.run_id, Task.task_id, Task.map_index)
        .options(lazyload("*"))
    )
    for dag_id, run_id, task_id, map_index, state, pool, tries, trigger in session.execute(wanted):
        turn = trigger.kwargs if trigger is not None and trigger.classpath == TURN else None
        yield Held(dag_id, run_id, task_id, map_index, str(state), pool, tries, turn)


def ended_runs(session: Session, since: datetime) -> Iterator[Ended]:
    """Yield the summaries pushed since then, in no order. They are read as text: ten thousand JSON values of SQLAlchemy
    take twice as long.
    """
    from airflow.models.xcom import XComModel
    from sqlalchemy import Text, cast, select

    columns = (XComModel.dag_id, XComModel.run_id, XComModel.timestamp, cast(XComModel.value, Text))
    wanted = select(*columns).where(XComModel.key == SUMMARY, XComModel.timestamp >= since)
    for dag_id, run_id, at, value in session.execute(wanted):
        if (summary := told_json(value, Summary)) is not None:
            yield Ended(dag_id, run_id, at, summary)


def _pushed(keys: Collection[str], operators: list[str]) -> Select[Any]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_, or_, select

    same = [getattr(TaskInstance, name) == getattr(XComModel, name) for name in INSTANCE]
    returned = and_(TaskInstance.operator.in_(operators), XComModel.key == "return_value")
    columns = [getattr(XComModel, name) for name in (*INSTANCE, "key", "value")]
    return (
        select(*columns, TaskInstance.operator)
        .join(TaskInstance, and_(*same))
        .where(or_(XComModel.key.in_(keys), returned))
        .order_by(XComModel.task_id, XComModel.map_index)
    )
