"""The plugin that serves the page of a run in Airflow's API server. All processes of Airflow load it: its imports are
inside functions. Airflow's modules for access and the database are no public API, and are imported here alone.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from opensearch_batch.pages.address import PREFIX
from opensearch_batch.pages.run_page import run_page

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy.orm import Session

KEYS = ("plan", "spec", "report")
RETURNED = {
    "CreateConnectorOperator": "connector_id",
    "RegisterModelOperator": "model_id",
    "SubmitBatchOperator": "jobs",
    "BatchSensor": "outcomes",
}
"""By operator, what its return value is."""
LISTS = ("jobs", "outcomes")
INSTANCE = ("dag_id", "run_id", "task_id", "map_index")


class RunPages(AirflowPlugin):
    name = "opensearch_batch_pages"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return [{"app": _app(), "url_prefix": PREFIX, "name": "Batch inference"}]


def _app() -> FastAPI:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from airflow.utils.session import create_session
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(title="Batch inference", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))

    @app.get("/dags/{dag_id}/runs/{run_id}", response_class=HTMLResponse, dependencies=[may_read])
    def page(dag_id: str, run_id: str) -> str:
        with create_session() as session:
            return run_page(dag_id, run_id, pushed_by(session, dag_id, run_id))

    return app


def pushed_by(session: Session, dag_id: str, run_id: str) -> dict[str, Any]:
    """Return what the run's tasks pushed, lists of mapped tasks as one list; a value that an XCom backend keeps
    elsewhere is left out.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_, or_, select

    same = [getattr(TaskInstance, name) == getattr(XComModel, name) for name in INSTANCE]
    returned = and_(TaskInstance.operator.in_(RETURNED), XComModel.key == "return_value")
    wanted = (
        select(XComModel, TaskInstance.operator)
        .join(TaskInstance, and_(*same))
        .where(XComModel.dag_id == dag_id, XComModel.run_id == run_id, or_(XComModel.key.in_(KEYS), returned))
        .order_by(XComModel.task_id, XComModel.map_index)
    )
    found: dict[str, Any] = {}
    for row, operator in session.execute(wanted):
        name = row.key if row.key in KEYS else RETURNED[str(operator)]
        value = XComModel.deserialize_value(row)
        if name in LISTS and isinstance(value, list):
            found.setdefault(name, []).extend(value)
        elif name not in LISTS and isinstance(value, dict if name in KEYS else str):
            found[name] = value
    return found
