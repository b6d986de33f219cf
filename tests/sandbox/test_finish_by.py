"""wait.finish_by: the wait ends with what its batches have answered, and no further batch is sent."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import PrepareRepairOperator
from opensearch_batch.wait.finishing import END_SECONDS
from tests.sandbox.bench import Run, Server, first_event, rebuilt, sensor
from tests.sandbox.late import ROW, ROWS, Flow, asked_online, figures, time_is_up

TIMED_OUT = {"timed_out": True, "version": 1}
"""The event of a trigger at its deadline."""


@pytest.fixture
def model_id(server: Server) -> str:
    return server.model(dimensions=8)


def in_flight(server: Server, model_id: str, run: Run) -> tuple[Flow, Any]:
    """A run whose one job does not end by itself."""
    server.pace("clock:3600")
    flow = Flow(run, model_id)
    return flow, run.submit(model_id, flow.bundles, spec=flow.spec)


def test_a_round_beyond_those_of_the_spec_takes_no_straggler(server: Server, model_id: str, run: Run) -> None:
    """The DAG may have more rounds than a run's own spec asks for."""
    server.fault("expire", fraction=0.4)
    flow = Flow(run, model_id)
    flow.round()
    server.fault("expire", fraction=0.5)
    flow.round(1, flow.repair())
    second = PrepareRepairOperator(task_id="repair_2", landed=flow.landed[1:], spec=flow.spec)
    with pytest.raises(AirflowSkipException, match="not needed"):
        run.execute(second)


def test_a_job_turned_away_is_not_sent_again_when_the_time_is_up(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    flow = Flow(run, model_id)
    time_is_up(run)
    flow.round()
    report = flow.report(flow.answer())
    assert (figures(report), asked_online(server), len(server.ledger)) == ({"answered": ROWS}, ROWS, 1)


def test_a_round_that_began_before_goes_on_with_its_rows(server: Server, model_id: str, run: Run) -> None:
    """A clear after finish_by sends nothing anew, and asks online for no row that a batch has."""
    server.fault("expire", fraction=0.4)
    flow = Flow(run, model_id)
    flow.round()
    flow.round(1, flow.repair())
    time_is_up(run)
    flow.round(1, flow.repair())
    with pytest.raises(AirflowSkipException, match="not needed"):
        flow.answer()
    assert (asked_online(server), len(server.ledger)) == (0, 2)


def test_a_wait_ends_at_finish_by_with_what_its_batches_have_answered(server: Server, model_id: str, run: Run) -> None:
    server.fault("cancel", fraction=0.4)
    flow, jobs = in_flight(server, model_id, run)
    time_is_up(run)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(TaskDeferred) as first:
        run.execute(waiting)
    event = first_event(rebuilt(first.value.trigger))
    assert event["timed_out"]
    with pytest.raises(TaskDeferred) as second:
        waiting.execute_complete(run.context(waiting), event)
    assert [job["status"] for job in server.ledger] == ["cancelling"]
    assert second.value.trigger.deadline == pytest.approx(time.time() + END_SECONDS, abs=20)
    server.pace("instant")
    (ended,) = waiting.execute_complete(run.context(waiting), first_event(rebuilt(second.value.trigger)))
    assert (ended["state"], ended["requests_done"]) == ("cancelled", 4)


def test_a_job_that_cannot_be_cancelled_now_is_cancelled_by_the_retry(server: Server, model_id: str, run: Run) -> None:
    flow, jobs = in_flight(server, model_id, run)
    time_is_up(run)
    server.fault("answer", method="POST", path="cancel", status=503, body="busy", times=-1)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(Unavailable, match="not all jobs could be cancelled"):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    server.no_more_faults()
    with pytest.raises(TaskDeferred) as again:
        run.execute(sensor(jobs, spec=flow.spec))
    event = first_event(rebuilt(again.value.trigger))
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), event)
    assert [job["status"] for job in server.ledger] == ["cancelling"]


def test_what_is_being_cancelled_is_not_cancelled_again_by_the_retry(server: Server, model_id: str, run: Run) -> None:
    """Servers refuse that, and the retries would end with it."""
    server.pace("clock:3600")
    flow = Flow(run, model_id)
    jobs = run.submit(model_id, run.prepare(ROW[:2], max_requests=1), spec=flow.spec)
    first, second = ((job["task_id"], job["provider_job_id"]) for job in jobs)
    time_is_up(run)
    answer_cancels(server, second, 503, "busy")
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(Unavailable, match="not all jobs could be cancelled"):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    server.no_more_faults()
    answer_cancels(server, first, 400, {"error": {"message": "Cannot cancel a batch with status 'cancelling'."}})
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    assert [job["status"] for job in server.ledger] == ["cancelling", "cancelling"]


def answer_cancels(server: Server, ids: tuple[str, str], status: int, body: Any) -> None:
    """Have cluster and provider answer so to a cancel of the job with the `ids` of task and batch."""
    task_id, batch_id = ids
    for path in (f"{task_id}/_cancel", f"{batch_id}/cancel"):
        server.fault("answer", method="POST", path=path, status=status, body=body, times=-1)


def test_a_job_whose_files_lag_is_waited_for_when_the_time_is_up(server: Server, model_id: str, run: Run) -> None:
    server.fault("id_later", reads=4)
    flow = Flow(run, model_id)
    jobs = run.submit(model_id, flow.bundles, spec=flow.spec)
    time_is_up(run)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    (ended,) = waiting.execute_complete(run.context(waiting), first_event(rebuilt(deferred.value.trigger)))
    assert (ended["state"], ended["requests_done"]) == ("completed", ROWS)


def test_a_job_that_does_not_end_when_it_is_cancelled_fails_the_wait_and_nothing_is_asked(
    server: Server, model_id: str, run: Run
) -> None:
    flow, jobs = in_flight(server, model_id, run)
    time_is_up(run)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    with pytest.raises(AirflowFailException, match=r"cancelled at wait.finish_by and had not all ended 30 minutes"):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)


def test_a_triggerer_whose_clock_is_ahead_ends_the_wait_as_finish_by_does(
    server: Server, model_id: str, run: Run
) -> None:
    flow, jobs = in_flight(server, model_id, run)
    run.started_at = datetime.now(UTC) - timedelta(minutes=59)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(TaskDeferred):
        run.execute(waiting)
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    assert [job["status"] for job in server.ledger] == ["cancelling"]


def test_a_clear_long_after_the_cancellation_is_not_ended_by_one_look_that_fails(
    server: Server, model_id: str, run: Run
) -> None:
    flow, jobs = in_flight(server, model_id, run)
    time_is_up(run)
    waiting = sensor(jobs, spec=flow.spec)
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    memory = run.states[waiting.task_id]
    (key,) = [key for key in memory if "finishing" in key]
    memory[key] = time.time() - 24 * 3600
    with pytest.raises(TaskDeferred):
        run.execute(waiting)
    with pytest.raises(TaskDeferred):
        waiting.execute_complete(run.context(waiting), TIMED_OUT)
    assert memory[key] == pytest.approx(time.time(), abs=20)


def test_before_finish_by_a_wait_has_its_own_deadline(server: Server, model_id: str, run: Run) -> None:
    flow, jobs = in_flight(server, model_id, run)
    for settings, deadline in (({}, time.time() + 3600), ({"timeout": 60}, time.time() + 60)):
        waiting = sensor(jobs, spec=flow.spec, task_id=f"wait_{len(settings)}", **settings)
        with pytest.raises(TaskDeferred) as stop:
            run.execute(waiting)
        assert stop.value.trigger.deadline == pytest.approx(deadline, abs=20)


def test_a_wait_that_holds_a_worker_cannot_finish(server: Server, model_id: str, run: Run) -> None:
    flow = Flow(run, model_id)
    jobs = run.submit(model_id, flow.bundles, spec=flow.spec)
    with pytest.raises(AirflowFailException, match="wait.finish_by needs a deferrable wait"):
        run.execute(sensor(jobs, spec=flow.spec, deferrable=False))
