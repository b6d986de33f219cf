"""At the cluster's limit of open batch tasks: whose jobs have ended is said, and their places are given back."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.errors import TaskLimit
from tests.patience import until
from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.test_promises import REFUSES_LOOKS

LIFT = 'PUT _cluster/settings {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 100}}'


@pytest.fixture
def first(server: Server, model_id: str, run: Run) -> dict[str, Any]:
    """A job that has ended at the provider, while its task holds the only place."""
    limit = {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 1}}
    server.ask("PUT", "/_cluster/settings", limit)
    (job,) = run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
    until(lambda: server.ledger[0]["status"], lambda found: found == "completed")
    return dict(job)


def test_a_task_whose_job_has_ended_gives_its_place_back(
    server: Server, model_id: str, run: Run, first: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(3)))
    assert (len(jobs), len(server.ledger)) == (1, 2)
    assert f"gives their place back: task {first['task_id']} (job {first['provider_job_id']}, completed)" in caplog.text
    states = {task["_id"]: task["state"] for task in server.batch_tasks}
    assert states[first["task_id"]] == "COMPLETED"


def test_the_error_names_the_tasks_whose_jobs_have_ended(
    server: Server, model_id: str, run: Run, first: dict[str, Any]
) -> None:
    """Where the cluster cannot look, they hold their places for ever."""
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=400, body=REFUSES_LOOKS, times=-1)
    with pytest.raises(TaskLimit) as caught:
        run.submit(model_id, run.prepare(rows_of(3)))
    assert LIFT in str(caught.value)
    name = f"task {first['task_id']} (job {first['provider_job_id']}, completed)"
    assert f"Counted tasks: 1. Ended at the provider, but counted until the cluster sees it: {name}" in str(
        caught.value
    )
    assert caught.value.retry_after_seconds == 300
    assert len(server.ledger) == 1


def test_a_job_that_still_runs_keeps_its_place_and_is_not_looked_at(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1000")
    server.ask("PUT", "/_cluster/settings", {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 1}})
    run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
    with pytest.raises(TaskLimit, match=r"Counted tasks: 1\. None of their jobs is known to have ended"):
        run.submit(model_id, run.prepare(rows_of(3)))
    assert not [call for call in server.calls if call["method"] == "GET" and "/_ml/tasks/" in call["path"]]
    server.ask("PUT", "/_cluster/settings", {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 100}})
    assert run.submit(model_id, run.prepare(rows_of(3)))
    assert len(server.ledger) == 2
