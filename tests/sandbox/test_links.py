"""Links to the run's jobs and the provider's job, as Airflow makes them when a task has ended, well or not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferred
from fastapi.testclient import TestClient

from opensearch_batch.operators import (
    CreateConnectorOperator,
    PrepareInputOperator,
    RegisterModelOperator,
    ReportOperator,
    SubmitBatchOperator,
)
from opensearch_batch.pages.address import page_of
from opensearch_batch.pages.plugin import RunPages
from tests.sandbox.bench import MODEL, Run, Server, rows_of, sensor, submit_settings

FAILED_WAIT = {"error": "Trigger exited without sending an event", "traceback": None}


def test_tasks_lead_to_the_page_of_their_run() -> None:
    key: Any = SimpleNamespace(dag_id="nightly", run_id="manual__2026-01-31T00:00:00+00:00", task_id="task")
    page = "/opensearch-batch/dags/nightly/runs/manual__2026-01-31T00%3A00%3A00%2B00%3A00"
    operator: Any = None
    made = {
        cls: [
            link.get_link(operator, ti_key=key).rpartition("/opensearch-batch")[2] for link in cls.operator_extra_links
        ]
        for cls in (PrepareInputOperator, CreateConnectorOperator, RegisterModelOperator, ReportOperator)
    }
    parts = ("plan", "model", "model", "report")
    assert [*made.values()] == [[f"{page.removeprefix('/opensearch-batch')}#{part}"] for part in parts]


def test_a_task_in_a_group_leads_to_the_page_of_its_flow() -> None:
    key: Any = SimpleNamespace(dag_id="nightly", run_id="r", task_id="titles.report")
    operator: Any = None
    (link,) = ReportOperator.operator_extra_links
    assert link.get_link(operator, ti_key=key).endswith("/dags/nightly/runs/r?task=titles.report#report")


def test_the_page_of_a_run_is_for_nobody_who_is_not_logged_in() -> None:
    (app,) = RunPages().fastapi_apps
    assert app["url_prefix"] == "/opensearch-batch"
    with TestClient(app["app"]) as client:
        assert client.get("/dags/nightly/runs/r").status_code == 401
        assert client.get("/openapi.json").status_code == 404


KEY: Any = SimpleNamespace(dag_id="nightly", run_id="r", task_id="task")


def links(operator: Any) -> dict[str, str]:
    return {link.name: link.get_link(operator, ti_key=KEY) for link in operator.operator_extra_links}


def of(server: Server, job: dict[str, Any]) -> dict[str, str]:
    return {
        "Jobs": page_of("nightly", "r", "jobs"),
        "Provider job": f"{server.url}/v1/batches/{job['provider_job_id']}",
    }


@pytest.fixture
def jobs(server: Server, model_id: str, run: Run) -> Any:
    server.pace("polls:1000")
    return run.submit(model_id, run.prepare(rows_of(2)))


def spec(folder: Path) -> dict[str, Any]:
    return {
        "name": "links",
        "model": {"name": MODEL, "provider": "openai"},
        "input": {"uri": f"file://{folder}/in.jsonl"},
        "output": {"uri": f"file://{folder}/out"},
        "work_uri": f"file://{folder}/work",
    }


@pytest.mark.parametrize(
    "named", [{}, {"provider": "openai"}, {"opensearch_conn_id": "opensearch_default"}, {"spec": spec(Path("/data"))}]
)
def test_a_wait_that_dies_has_its_links(server: Server, run: Run, jobs: Any, named: dict[str, Any]) -> None:
    """As Airflow resumes a task whose trigger ended without an event: in a new process, with a new operator."""
    with pytest.raises(TaskDeferred):
        run.execute(sensor(jobs, **named))
    resumed = sensor(jobs, **named)
    with pytest.raises(TaskDeferralError):
        resumed.resume_execution("__fail__", FAILED_WAIT, run.context(resumed))
    assert links(resumed) == of(server, jobs[0])


def test_a_wait_that_went_well_has_the_same_links(server: Server, run: Run, jobs: Any) -> None:
    server.pace("instant")
    waited = sensor(jobs)
    run.wait_out(waited)
    assert links(waited) == of(server, jobs[0])


def test_a_submission_that_failed_has_none(run: Run) -> None:
    assert links(SubmitBatchOperator(**submit_settings("no-model", []))) == {"Jobs": "", "Provider job": ""}


def test_a_wait_without_jobs_has_none(run: Run) -> None:
    assert links(sensor([])) == {"Jobs": "", "Provider job": ""}


@pytest.mark.parametrize("named", [{"provider_conn_id": "gone", "opensearch_conn_id": "gone"}, {"provider": "nobody"}])
def test_what_the_wait_died_of_is_not_told_again_by_its_links(run: Run, jobs: Any, named: dict[str, Any]) -> None:
    assert links(sensor(jobs, **named))["Provider job"] == ""
