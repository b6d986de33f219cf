"""Promises: one bill, waits that survive, deadlines that cancel, secrets that stay put, files that are whole."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.tasks.stored_trigger import VERSION
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from tests.sandbox.bench import KEY, Run, Server, first_event, rebuilt, rows_of, sensor
from tests.sandbox.test_registration import DOCS_PAGE

TRUSTED = "Trusted connector endpoints regex is not configured. Please set plugins.ml_commons.trusted_connector_…"
REFUSES_LOOKS = {
    "error": {
        "root_cause": [{"type": "illegal_argument_exception", "reason": TRUSTED}],
        "type": "illegal_argument_exception",
        "reason": TRUSTED,
    },
    "status": 400,
}


def deferred(run: Run, jobs: Any, **settings: Any) -> tuple[Any, TaskDeferred]:
    waiting = sensor(jobs, **settings)
    with pytest.raises(TaskDeferred) as caught:
        run.execute(waiting)
    return waiting, caught.value


def test_submitting_twice_is_one_job(server: Server, model_id: str, run: Run) -> None:
    bundles = run.prepare(rows_of(5), max_requests=2)
    assert run.submit(model_id, bundles) == run.submit(model_id, bundles)
    run.states.clear()
    run.submit(model_id, bundles)
    assert (len(server.ledger), len(server.batch_tasks)) == (3, 3)


@pytest.mark.parametrize(
    ("fault", "task"),
    [
        ({"fault": "lost_answer", "path": "_batch_predict"}, True),
        ({"fault": "lost_answer", "method": "POST", "path": "^/v1/batches$"}, False),
        ({"fault": "late_accept", "path": "_batch_predict", "seconds": 0.3}, True),
    ],
    ids=["lost on the way to us", "lost on the way to the cluster", "accepted after the cluster hung up"],
)
def test_a_lost_answer_is_one_job_and_its_rows_arrive(
    server: Server, model_id: str, run: Run, fault: dict[str, Any], task: bool
) -> None:
    server.ask("POST", "/_sandbox/faults", fault)
    jobs = run.submit(model_id, run.prepare(rows_of(3)), settle_seconds=1.5)
    assert (len(server.ledger), jobs[0]["task_id"] is not None) == (1, task)
    assert run.submit(model_id, run.prepare(rows_of(3))) == jobs
    assert run.fetch(run.wait(jobs))["report"]["answered"] == 3
    assert len(server.ledger) == 1


def test_a_lost_answer_without_a_job_is_submitted_by_the_retry(server: Server, model_id: str, run: Run) -> None:
    server.fault("answer", path="_batch_predict", status=503, body="busy")
    bundles = run.prepare(rows_of(3))
    with pytest.raises(Unavailable, match="a retry submits it"):
        run.submit(model_id, bundles)
    assert server.ledger == []
    run.submit(model_id, bundles)
    assert (len(server.ledger), len(server.uploads())) == (1, 1)


def test_a_raw_submission_whose_worker_died_is_not_paid_twice(server: Server, model_id: str, run: Run) -> None:
    """The answer was lost, and the task was cleared before it could look."""
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}
    parameters = {"input_file_id": server.upload([line])}
    server.fault("lost_answer", path="_batch_predict")
    server.fault("answer", path="tasks/_search", status=403, body="no")
    with pytest.raises(AirflowFailException):
        run.submit(model_id, parameters=parameters)
    assert len(server.ledger) == 1
    run.submit(model_id, parameters=parameters)
    assert len(server.ledger) == 1


def test_what_the_provider_sees_of_a_run_is_one_opaque_hash(server: Server, model_id: str, run: Run) -> None:
    (job,) = run.submit(model_id, run.prepare(rows_of(1)))
    (upload,) = server.uploads()
    assert upload["filename"] == f"{job['key']}-a1.jsonl"
    assert not any(part in json.dumps(server.ledger) + upload["filename"] for part in ("by_hand", "manual", "submit"))


def test_a_cluster_that_refuses_every_look_is_left_for_the_provider(
    server: Server, model_id: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="opensearch_batch")
    server.pace("polls:1")
    jobs = run.submit(model_id, run.prepare(rows_of(3)))
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=400, body=REFUSES_LOOKS, times=-1)
    (outcome,) = run.wait(jobs)
    assert outcome["state"] == "completed"
    said = [record.getMessage() for record in caplog.records if "followed at the provider" in record.getMessage()]
    assert 1 <= len(said) <= 2, "once by the worker, once by the trigger"
    assert run.fetch([outcome])["report"]["answered"] == 3


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_goes_on_through_blips(
    server: Server, model_id: str, run: Run, deferrable: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the cluster nor the provider answers for two looks; the SDK asks five times a look."""
    server.pace("polls:2")
    jobs = run.submit(model_id, run.prepare(rows_of(3)))
    if deferrable:
        _, stop = deferred(run, jobs)
    server.fault("down", face="ml_commons", times=2)
    server.fault("down", face="openai", times=10)
    outcomes = first_event(rebuilt(stop.trigger))["outcomes"] if deferrable else run.wait(jobs, deferrable=False)
    assert outcomes[0]["state"] == "completed"
    assert server.ask("GET", "/_sandbox/faults") == []
    assert any("[warning" in line and "get batch" in line for line in "".join(capfd.readouterr()).splitlines())


def test_a_wait_asks_once_per_job_and_interval(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:4")
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    _, waiting = deferred(run, jobs)
    server.ask("DELETE", "/_sandbox/calls")
    assert first_event(rebuilt(waiting.trigger))["outcomes"]
    looks = [call["at"] for call in server.calls if call["path"].startswith("/_plugins/_ml/tasks/")]
    assert len(looks) > 3
    assert all(later - earlier >= 0.03 for earlier, later in zip(looks, looks[1:], strict=False))


def test_a_trigger_rebuilt_in_the_middle_goes_on(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:6")
    jobs = run.submit(model_id, run.prepare(rows_of(5), max_requests=3))
    waiting, stop = deferred(run, jobs)
    server.ask("DELETE", "/_sandbox/calls")

    async def begin_and_die() -> None:
        async def follow() -> None:
            await anext(rebuilt(stop.trigger).run())

        task = asyncio.create_task(follow())
        while sum(call["path"].startswith("/_plugins/_ml/tasks/") for call in server.calls) < 4:
            assert not task.done()
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(begin_and_die())
    assert {job["status"] for job in server.ledger} & {"validating", "in_progress", "finalizing"}
    outcomes = waiting.execute_complete(run.context(waiting), first_event(rebuilt(stop.trigger)))
    assert [outcome["state"] for outcome in outcomes] == ["completed", "completed"]
    assert len(server.ledger) == 2


def test_an_event_of_another_version_or_of_other_jobs_is_refused(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1000")
    waiting, _ = deferred(run, run.submit(model_id, run.prepare(rows_of(1))))
    for event in (None, {}, {"version": 99, "outcomes": []}, "done"):
        with pytest.raises(AirflowFailException, match="event of another version .*clear this task"):
            waiting.execute_complete(run.context(waiting), event)
    with pytest.raises(AirflowFailException, match="does not speak of this task's jobs"):
        waiting.execute_complete(run.context(waiting), {"version": VERSION, "outcomes": []})


@pytest.mark.parametrize("deferrable", [True, False])
def test_when_the_deadline_passes_the_jobs_are_cancelled(
    server: Server, model_id: str, run: Run, deferrable: bool
) -> None:
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(3), max_requests=2))
    with pytest.raises(AirflowSensorTimeout):
        run.wait(jobs, timeout=0.3, deferrable=deferrable)
    assert {job["status"] for job in server.ledger} <= {"cancelling", "cancelled"}


def test_the_deadline_is_kept_over_retries_and_made_anew_once_it_has_passed(
    server: Server, model_id: str, run: Run
) -> None:
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    _, first = deferred(run, jobs, timeout=100)
    _, second = deferred(run, jobs, timeout=100)
    deadlines = [wait.trigger.serialize()[1]["deadline"] for wait in (first, second)]
    assert deadlines[0] == deadlines[1] == pytest.approx(time.time() + 100, abs=30)
    waiting = sensor(jobs, timeout=100)
    with pytest.raises(AirflowSensorTimeout, match=f"jobs {jobs[0]['provider_job_id']} had not ended 100 s"):
        waiting.execute_complete(run.context(waiting), {"version": VERSION, "timed_out": True})
    assert run.states["wait"] == {}


def test_the_net_below_the_trigger_cancels_too(server: Server, model_id: str, run: Run) -> None:
    """No triggerer lived to see the deadline: Airflow resumes the task with its own time-out."""
    server.pace("polls:1000")
    waiting, _ = deferred(run, run.submit(model_id, run.prepare(rows_of(1))))
    with pytest.raises(AirflowSensorTimeout):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, run.context(waiting))
    assert server.ledger[0]["status"] in ("cancelling", "cancelled")


class Killed(BatchTrigger):
    """Only Airflow's own question for the task's state is answered here."""

    state: str | None = None

    async def _task_state(self) -> str | None:
        return self.state


@pytest.mark.parametrize(
    ("state", "cancel_on_kill", "cancelled"),
    [
        ("failed", True, True),
        ("success", True, True),
        ("skipped", True, True),
        ("upstream_failed", True, True),
        ("removed", True, True),
        ("failed", False, False),
        ("deferred", True, False),
        ("running", True, False),
        ("queued", True, False),
        (None, True, False),
    ],
)
def test_only_a_person_who_ends_the_task_cancels_its_jobs(
    server: Server, model_id: str, run: Run, state: str | None, cancel_on_kill: bool, cancelled: bool
) -> None:
    server.pace("polls:1000")
    _, stop = deferred(run, run.submit(model_id, run.prepare(rows_of(1))), cancel_on_kill=cancel_on_kill)
    trigger = Killed(**stop.trigger.serialize()[1])
    trigger.state = state
    asyncio.run(trigger.on_kill())
    assert (server.ledger[0]["status"] in ("cancelling", "cancelled")) == cancelled


def test_a_poking_sensor_that_is_killed_leaves_its_job_running(server: Server, model_id: str, run: Run) -> None:
    """A worker is killed for a deploy or a clear as well, and cannot tell."""
    server.pace("polls:1000")
    sensor(run.submit(model_id, run.prepare(rows_of(1))), deferrable=False).on_kill()
    assert server.ledger[0]["status"] not in ("cancelling", "cancelled")


def test_a_secret_appears_nowhere(
    server: Server, run: Run, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    connector = CreateConnectorOperator(task_id="connector", body=DOCS_PAGE, base_url_from="openai_default")
    model = RegisterModelOperator(task_id="model", name="m", connector_id=run.execute(connector))
    model_id = run.execute(model)
    server.pace("polls:2")
    jobs = run.submit(model_id, run.prepare(rows_of(3)))
    waiting, stop = deferred(run, jobs)
    event = first_event(rebuilt(stop.trigger))
    fetched = run.fetch(waiting.execute_complete(run.context(waiting), event))
    changed = DOCS_PAGE | {"parameters": {"model": "other"}}
    with pytest.raises(AirflowFailException) as caught:
        run.execute(CreateConnectorOperator(task_id="connector", body=changed, base_url_from="openai_default"))
    seen = capfd.readouterr()
    shown = {
        "xcoms": str(run.xcoms),
        "state": str(run.states),
        "trigger": str(stop.trigger.serialize()),
        "event": str(event),
        "report": str(fetched),
        "manifest": json.dumps(run.manifest),
        "operators": str([vars(operator) for operator in (connector, model, waiting)]),
        "error": str(caught.value),
        "work files": "".join(path.read_text() for path in run.folder.rglob("*.jsonl")),
        "log": caplog.text + seen.out + seen.err,
    }
    assert all(shown.values())
    assert [name for name, text in shown.items() if KEY in text] == []
    assert any(KEY in str(call["headers"]) for call in server.calls), "it was really sent"


def test_files_of_the_run_that_the_manifest_does_not_name_are_removed(model_id: str, run: Run) -> None:
    run.through(model_id, rows_of(5))
    key = run.files()[-1].split("-")[1]
    strays = [f"results-{key}-00099.jsonl", f"failures-{key}-00000.jsonl", f".results-{key}-00000.jsonl.77.partial"]
    others = ["results-0123456789-00000.jsonl", "notes.txt"]
    for name in (*strays, *others):
        (run.out / name).write_text("left over")
    run.through(model_id, rows_of(5))
    named = [entry["uri"].rsplit("/", 1)[-1] for entry in run.manifest["files"]]
    assert run.files() == sorted([*named, *others, "manifest.json", f"manifest-{key}.json"])


def test_a_second_run_into_the_same_folder_replaces_the_firsts_answers(model_id: str, run: Run) -> None:
    """A partition that is run again, by hand or by a backfill: its rows must not stand there twice."""
    run.through(model_id, rows_of(5))
    again = Run(run.folder, "manual__again")
    again.through(model_id, [{"id": f"new-{n}", "text": f"text {n}"} for n in range(5)])
    assert set(again.landed("results")) == {f"new-{n}" for n in range(5)}
    assert again.followed["run_id"] == "manual__again"


def test_repeating_a_whole_run_pays_once_and_gives_the_same_files(server: Server, model_id: str, run: Run) -> None:
    first = run.through(model_id, rows_of(5))
    names, manifest = run.files(), run.manifest
    assert run.through(model_id, rows_of(5)) == first
    assert (run.files(), run.manifest["files"]) == (names, manifest["files"])
    assert len(server.ledger) == 1
