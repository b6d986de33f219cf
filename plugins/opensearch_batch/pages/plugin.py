"""The plugin that serves the pages in Airflow's API server. All processes of Airflow load it: its imports are inside
functions. Airflow's modules for access are no public API, and are imported here alone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from opensearch_batch.pages.address import PREFIX, path_of_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi import FastAPI

    from opensearch_batch.pages.recent import RecentRuns

ONCE = ("plan", "spec", "approval", "report", "connector_id", "model_id")
"""What one task of a run pushes; the others push what tells of shards."""


class RunPages(AirflowPlugin):
    name = "opensearch_batch_pages"
    external_views = [  # noqa: RUF012 # Airflow's own form
        {
            "name": "Batches",
            "href": path_of_batches(),
            "destination": "nav",
            "category": "browse",
            "url_route": "opensearch_batches",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return [{"app": _app(), "url_prefix": PREFIX, "name": "Batch inference"}]


def _app() -> FastAPI:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    from opensearch_batch.pages.markup import HEADERS
    from opensearch_batch.pages.recent import RecentRuns

    app = FastAPI(title="Batch inference", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
    who, recent = Depends(get_user), RecentRuns(time.monotonic)

    @app.get("/dags/{dag_id}/runs/{run_id}", response_class=HTMLResponse, dependencies=[may_read])
    def page(dag_id: str, run_id: str, task: str = "") -> Any:
        text, status = page_of_run(dag_id, run_id, task)
        return HTMLResponse(text, status, HEADERS)

    @app.get("/", response_class=HTMLResponse)
    def batches(user: Any = who) -> Any:
        return HTMLResponse(batches_for(readable_by(user), recent), headers=HEADERS)

    return app


def readable_by(user: Any) -> Callable[[str], bool]:
    """Return whether the user may read what the tasks of a DAG push; asked once a DAG."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.models.dag import DagModel

    manager, known = get_auth_manager(), dict[str, bool]()

    def readable(dag_id: str) -> bool:
        if dag_id not in known:
            details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
            known[dag_id] = manager.is_authorized_dag(
                method="GET", access_entity=DagAccessEntity.XCOM, details=details, user=user
            )
        return known[dag_id]

    return readable


def batches_for(readable: Callable[[str], bool], recent: RecentRuns) -> str:
    from airflow.utils.session import create_session

    from opensearch_batch.pages.batches import days, jobs_in_flight, past_runs, tasks_held
    from opensearch_batch.pages.batches_page import DAYS, batches_page
    from opensearch_batch.pages.stored import ended_runs, held_tasks, pushed_in_live_runs

    def seen(found: Iterable[Any]) -> list[Any]:
        return [each for each in found if readable(each.dag_id)]

    since = (datetime.now(UTC) - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    with create_session() as session:
        jobs = jobs_in_flight(seen(pushed_in_live_runs(session)))
        held = tasks_held(seen(held_tasks(session)))
        ended = seen(recent.since(since, lambda day: ended_runs(session, day)))
    return batches_page(jobs, held, past_runs(ended), days(ended), since.date())


def page_of_run(dag_id: str, run_id: str, task_id: str = "") -> tuple[str, int]:
    """Return the page and its status: a run may be deleted while somebody looks at it. Of several flows the page shows
    the one that the task is of, else the first.
    """
    from airflow.utils.session import create_session

    from opensearch_batch.pages.flows import flow_at, flows_of, of_flow
    from opensearch_batch.pages.run_page import no_run_page, run_page
    from opensearch_batch.pages.shards import shards_seen
    from opensearch_batch.pages.stored import has_run, pushed_in_run

    with create_session() as session:
        pushed = list(pushed_in_run(session, dag_id, run_id))
        if not has_run(session, dag_id, run_id):
            return no_run_page(dag_id, run_id), 404
    flows = flows_of(pushed)
    if len(flows) < 2:
        return run_page(dag_id, run_id, of_run(pushed), shards_seen(pushed)), 200
    flow = flow_at(flows, task_id) if task_id else None
    shown = flows[0] if flow is None else flow
    pushed = of_flow(pushed, flows, shown)
    return run_page(dag_id, run_id, of_run(pushed), shards_seen(pushed), {each: each == shown for each in flows}), 200


def of_run(pushed: Iterable[Any]) -> dict[str, Any]:
    """Return what one task of a run pushes, by name; a value that an XCom backend keeps elsewhere is left out."""
    once = (each for each in pushed if each.name in ONCE)
    return {
        each.name: each.value for each in once if isinstance(each.value, str if each.name.endswith("_id") else dict)
    }
