"""Airflow's database in memory, with runs, tasks and what they push."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from airflow.models import import_all_models
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

NOW = datetime(2026, 1, 31, 4, tzinfo=UTC)


@dataclass
class Database:
    session: Session

    def run(self, dag_id: str, run_id: str, state: str = "running") -> None:
        values = {"dag_id": dag_id, "run_id": run_id, "state": state, "run_after": NOW, "log_template_id": 1}
        kind = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.TEST}
        self.session.execute(insert(DagRun).values(values | kind))

    def task(self, instance: tuple[str, str, str, int], operator: str, state: str = "success", **more: Any) -> None:
        dag_id, run_id, task_id, map_index = instance
        values = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index, "state": state}
        known = {"id": uuid4(), "operator": operator, "pool": "default_pool", "pool_slots": 1, "try_number": 1}
        self.session.execute(insert(TaskInstance).values(values | known | more))

    def push(self, instance: tuple[str, str, str, int], key: str, value: Any, at: datetime = NOW) -> None:
        dag_id, run_id, task_id, map_index = instance
        of_run = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).scalar_subquery()
        named = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index, "key": key}
        self.session.execute(insert(XComModel).values(dag_run_id=of_run, value=value, timestamp=at, **named))

    def trigger(self, classpath: str, **arguments: Any) -> int:
        trigger = Trigger(classpath=classpath, kwargs=arguments)
        self.session.add(trigger)
        self.session.flush()
        return trigger.id


@contextmanager
def database() -> Iterator[Database]:
    import_all_models()  # type: ignore[no-untyped-call]
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    for model in (DagRun, Trigger, TaskInstance, XComModel):
        model.__table__.create(engine)
    with Session(engine) as session:
        yield Database(session)
    engine.dispose()
