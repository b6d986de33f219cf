"""At the cluster's limit of open batch tasks: whose jobs have ended is said, and their places are given back."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from opensearch_batch.errors import TaskLimit
from opensearch_batch.submit.admission import TRY_AGAIN_SECONDS
from opensearch_batch.tasks.side_by_side import side_by_side
from tests.patience import until
from tests.sandbox.bench import MODEL, Run, Server, first_event, rows_of
from tests.sandbox.test_admission import all_end, deferred_of, in_turns, stored, submitting
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


def limited(server: Server, most: int) -> None:
    server.ask("PUT", "/_cluster/settings", {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": most}})


def test_a_job_that_still_runs_keeps_its_place_and_is_not_looked_at(
    server: Server, model_id: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.pace("polls:1000")
    limited(server, 1)
    run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
    with pytest.raises(TaskDeferred):
        run.submit(model_id, run.prepare(rows_of(3)))
    assert "shard 0 waits for room: " in caplog.text
    assert "Counted tasks: 1. None of their jobs is known to have ended. Deferred: no worker" in caplog.text
    assert not [call for call in server.calls if call["method"] == "GET" and "/_ml/tasks/" in call["path"]]
    limited(server, 100)
    assert run.submit(model_id, run.prepare(rows_of(3)))
    assert len(server.ledger) == 2


def test_a_bundle_larger_than_the_limit_goes_as_places_come_free_and_lands_whole(
    server: Server, model_id: str, run: Run
) -> None:
    """Whenever it waits for room the jobs in flight end, as they do in hours."""
    server.pace("clock:600")
    limited(server, 2)
    submit = submitting(model_id, run.prepare(rows_of(7), max_requests=1))
    jobs, waits = in_turns(server, run, submit)
    assert [job["shard"]["index"] for job in jobs] == list(range(7))
    assert waits, "four at once pass a limit of two"
    assert (len(server.ledger), len(server.uploads())) == (7, 7)
    server.pace("instant")
    assert run.fetch(run.wait(jobs))["report"]["answered"] == 7


def test_no_place_is_tried_for_beyond_the_hour_by_which_the_answers_are_needed(
    server: Server, model_id: str, run: Run
) -> None:
    server.pace("clock:600")
    limited(server, 1)
    run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
    spec = {
        "name": "by_hand",
        "model": {"name": MODEL, "parameters": {"dimensions": 8}},
        "input": {"uri": run.write(rows_of(3))},
        "output": {"uri": f"file://{run.out}"},
        "wait": {"finish_by": 0.05},
    }
    submit = submitting(model_id, run.prepare(rows_of(3)), spec=spec)
    wanted = deferred_of(run, submit).trigger.wanted
    assert wanted["not_before"] == pytest.approx(run.started_at.timestamp() + 180)
    run.started_at -= timedelta(minutes=3)
    with pytest.raises(AirflowFailException, match=r"^TriedLongEnough: shard 0 waits for room: .*wait\.finish_by"):
        run.execute(submit)
    assert len(server.ledger) == 1


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions at the same moment pass the cluster's limit."""
    monkeypatch.setattr("opensearch_batch.tasks.side_by_side.side_by_side", partial(side_by_side, at_once=1))


@pytest.mark.usefixtures("one_by_one")
def test_a_place_is_tried_for_in_vain_until_the_waits_own_time_out(server: Server, model_id: str, run: Run) -> None:
    """Each job that a try brings lets the time begin anew."""
    server.pace("clock:600")
    limited(server, 1)
    submit = submitting(model_id, run.prepare(rows_of(3), max_requests=1), provider="openai")
    deferred = deferred_of(run, submit)
    wanted = deferred.trigger.wanted
    assert wanted["not_before"] == pytest.approx(wanted["fruitless_since"] + TRY_AGAIN_SECONDS, abs=5)
    all_end(server)
    server.pace("clock:600")
    long_ago = first_event(stored(deferred.trigger)) | {"fruitless_since": time.time() - 25 * 3600}
    with pytest.raises(TaskDeferred) as again:
        submit.turn_came(run.context(submit), long_ago)
    event = first_event(stored(again.value.trigger))
    assert (len(event["carried"]), event["fruitless_since"] > time.time() - 3600, event["since"]) == (
        2,
        True,
        wanted["since"],
    )
    with pytest.raises(AirflowFailException, match=r"^TriedLongEnough: shard 2 waits for room: .* for 25\.0 hours"):
        submit.turn_came(run.context(submit), event | {"fruitless_since": time.time() - 25 * 3600})
    assert len(server.ledger) == 2
    limited(server, 100)
    assert len(run.execute(submit)) == len(server.ledger) == 3
