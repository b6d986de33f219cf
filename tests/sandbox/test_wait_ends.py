"""How a wait ends its jobs: which ends cancel, which job's trouble is whose, and whose state decides."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import CancelBatchOperator, FetchOutputOperator
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from tests.sandbox.bench import Run, Server, first_event, rows_of
from tests.sandbox.test_promises import Killed, deferred

CANCELLED = {"cancelling", "cancelled"}


def cancelled_at(server: Server, jobs: list[dict[str, Any]]) -> list[bool]:
    """Of each job whether it was cancelled."""
    status = {job["id"]: job["status"] for job in server.ledger}
    return [status[job["provider_job_id"]] in CANCELLED for job in jobs]


def triggered(run: Run, jobs: Any, **changed: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = deferred(run, jobs)[1].trigger.serialize()[1]
    return arguments | changed


@pytest.fixture
def two_jobs(server: Server, model_id: str, run: Run) -> list[dict[str, Any]]:
    server.pace("polls:1000")
    jobs: list[dict[str, Any]] = run.submit(model_id, run.prepare(rows_of(2), max_requests=1))
    return jobs


def deny_all_about(server: Server, job: dict[str, Any]) -> None:
    for path in (job["task_id"], job["provider_job_id"]):
        server.fault("answer", path=path, status=404, body={"error": {"message": "no such job"}}, times=-1)


def test_jobs_that_have_ended_count_though_the_deadline_has_passed(server: Server, model_id: str, run: Run) -> None:
    """No triggerer lived for a while, and the answers are paid for."""
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    trigger = BatchTrigger(**triggered(run, jobs, deadline=time.time() - 60))
    server.pace("instant")
    run.wait(jobs, deferrable=False, task_id="until_it_has_ended")
    event = first_event(trigger)
    assert [outcome["state"] for outcome in event["outcomes"]] == ["completed"]


@pytest.mark.parametrize(
    ("way", "settings"),
    [
        ("the trigger's last look failed", {}),
        ("no triggerer lives", {}),
        ("no triggerer lives", {"soft_fail": True}),
    ],
)
def test_a_worker_looks_before_it_gives_up_what_is_paid_for(
    server: Server, model_id: str, run: Run, way: str, settings: dict[str, bool]
) -> None:
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    waiting, _ = deferred(run, jobs, **settings)
    server.pace("instant")
    run.wait(jobs, deferrable=False, task_id="until_it_has_ended")
    if way == "no triggerer lives":
        outcomes = waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, run.context(waiting))
    else:
        outcomes = waiting.execute_complete(run.context(waiting), {"timed_out": True, "version": 1})
    assert [outcome["state"] for outcome in outcomes] == ["completed"]


def test_only_jobs_that_have_not_ended_are_named_when_the_time_is_up(
    server: Server, run: Run, two_jobs: list[dict[str, Any]]
) -> None:
    done, late = (job["provider_job_id"] for job in two_jobs)
    waiting, _ = deferred(run, two_jobs)
    for path in (two_jobs[0]["task_id"], done):
        body = {"state": "COMPLETED", "remote_job": {"id": done, "status": "failed"}, "id": done, "status": "failed"}
        server.fault("answer", method="GET", path=path, status=200, body=body, times=-1)
    with pytest.raises(AirflowSensorTimeout, match=f"^jobs {late} had not ended .* cancelled where they still ran"):
        waiting.execute_complete(run.context(waiting), {"timed_out": True, "version": 1})
    assert cancelled_at(server, two_jobs) == [False, True]


def test_a_last_look_that_fails_ends_in_the_time_out(
    server: Server, run: Run, two_jobs: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    waiting, _ = deferred(run, two_jobs)
    deny_all_about(server, two_jobs[0])
    with pytest.raises(AirflowSensorTimeout, match="these may go on: .*no such job"):
        waiting.execute_complete(run.context(waiting), {"timed_out": True, "version": 1})
    assert cancelled_at(server, two_jobs) == [False, True]


def test_a_job_that_cannot_be_cancelled_keeps_no_other_from_it(
    server: Server, run: Run, two_jobs: list[dict[str, Any]]
) -> None:
    trigger = Killed(**triggered(run, two_jobs))
    trigger.state = "failed"
    deny_all_about(server, two_jobs[0])
    asyncio.run(trigger.on_kill())
    assert cancelled_at(server, two_jobs) == [False, True]


def test_a_worker_that_cannot_cancel_a_job_cancels_the_others_and_names_it(
    server: Server, run: Run, two_jobs: list[dict[str, Any]]
) -> None:
    deny_all_about(server, two_jobs[0])
    with pytest.raises(Unavailable, match=f"not cancelled: .*{two_jobs[0]['provider_job_id']}"):
        run.execute(CancelBatchOperator(task_id="cancel", jobs=two_jobs))
    assert cancelled_at(server, two_jobs) == [False, True]


def test_a_wait_that_is_skipped_when_its_time_is_up_cancels_too(
    server: Server, run: Run, two_jobs: list[dict[str, Any]]
) -> None:
    with pytest.raises(AirflowSkipException):
        run.wait(two_jobs, timeout=0.3, deferrable=False, soft_fail=True)
    assert cancelled_at(server, two_jobs) == [True, True]


@pytest.mark.parametrize("gentle", [{"soft_fail": True}, {"never_fail": True}], ids=lambda given: next(iter(given)))
def test_a_wait_that_is_skipped_when_no_triggerer_saw_its_time_pass_cancels_too(
    server: Server, run: Run, two_jobs: list[dict[str, Any]], gentle: dict[str, bool]
) -> None:
    """Airflow makes a skip of the deferral's time-out: the net below the deadline has to see through it."""
    waiting, _ = deferred(run, two_jobs, **gentle)
    with pytest.raises(AirflowSkipException):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, run.context(waiting))
    assert cancelled_at(server, two_jobs) == [True, True]


@pytest.mark.parametrize(
    ("map_index", "cancelled"), [(3, True), (2, False), (-1, False)], ids=["its own", "its neighbour's", "not mapped"]
)
def test_of_a_mapped_task_the_state_of_its_own_index_decides(
    server: Server,
    run: Run,
    two_jobs: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    map_index: int,
    cancelled: bool,
) -> None:
    told = {"r": {"shard.wait_3": "failed", "shard.wait_2": "deferred", "shard.wait": "deferred"}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **asked: told)
    trigger = BatchTrigger(**triggered(run, two_jobs))
    trigger.task_instance = SimpleNamespace(  # type: ignore[assignment]
        dag_id="d", task_id="shard.wait", run_id="r", map_index=map_index
    )
    asyncio.run(trigger.on_kill())
    assert cancelled_at(server, two_jobs) == [cancelled, cancelled]


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (BatchSensor(task_id="wait", jobs=None), "jobs"),
        (FetchOutputOperator(task_id="fetch", outcomes=None, output_uri="file:///out"), "outcomes"),
        (CancelBatchOperator(task_id="cancel", jobs=None), "jobs"),
    ],
    ids=["wait", "fetch", "cancel"],
)
def test_behind_a_task_that_was_marked_successful_a_step_says_what_to_do(run: Run, step: Any, what: str) -> None:
    """Airflow goes on with it, and it has given nothing."""
    with pytest.raises(AirflowFailException, match=rf"gave no {what}: it was skipped, or marked successful by hand\. "):
        run.execute(step)
