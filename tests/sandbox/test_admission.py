"""Limits of what is in flight, and jobs that are turned away: the operators by hand, the sandbox as the witness."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import XComResult
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import PrepareInputOperator, SubmitBatchOperator
from opensearch_batch.tasks.turn_trigger import TurnTrigger
from tests.patience import until
from tests.sandbox.bench import (
    KEY,
    MODEL,
    Run,
    Server,
    first_event,
    rebuilt,
    rows_of,
    sensor,
    submit_settings,
    timeless,
)

POOL = "opensearch_batch_by_hand"


def high_water(server: Server) -> dict[str, int]:
    found: dict[str, int] = server.ask("GET", "/_sandbox/high-water")
    return found


def submitting(model_id: str, bundles: Any, **settings: Any) -> SubmitBatchOperator:
    given = {"pool": POOL, "poll_seconds": 0.05, **settings}
    return SubmitBatchOperator(**submit_settings(model_id, bundles) | given)


def stored(trigger: Any) -> TurnTrigger:
    """From what Airflow keeps of it in its database; of a wait for another try, as after its five minutes."""
    path, arguments = trigger.serialize()
    assert path == "opensearch_batch.turn.TurnTrigger"
    kept = json.loads(json.dumps(arguments))
    if "not_before" in kept["wanted"]:
        kept["wanted"]["not_before"] = 1.0
    return TurnTrigger(**kept)


def all_end(server: Server) -> None:
    server.pace("instant")
    until(lambda: high_water(server)["live_jobs"], lambda left: left == 0)


def looked_at(server: Server, job_id: str, status: str) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    until(lambda: server.http.get(f"/v1/batches/{job_id}", headers=key).json()["status"], lambda seen: seen == status)


class Airflow:
    """A triggerer's supervisor: the task has returned `returned`, or nothing is to be had of it."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    async def asend(self, asked: Any) -> Any:
        if isinstance(self.returned, Exception):
            raise self.returned
        its = (asked.dag_id, asked.run_id, asked.task_id, asked.map_index, asked.key)
        ours = its == ("d", "r", "submit", -1, "return_value")
        return XComResult(key=asked.key, value=self.returned if ours else None)

    def send(self, message: Any) -> None:
        """Keys to be masked in logs."""


def killed(trigger: TurnTrigger, state: str | None, monkeypatch: pytest.MonkeyPatch, returned: Any = None) -> None:
    """Airflow ends the trigger, and says that its task is in `state` and what it has returned."""
    ti = SimpleNamespace(dag_id="d", task_id="submit", run_id="r", map_index=-1)
    trigger.task_instance = ti  # type: ignore[assignment]
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **asked: {"r": {"submit": state}})
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Airflow(returned), raising=False)
    asyncio.run(trigger.on_kill())


@pytest.mark.parametrize(("state", "cancelled"), [("failed", True), ("success", True), (None, False)])
def test_a_person_who_ends_a_submission_that_waits_for_its_turn_ends_its_jobs(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, state: str | None, cancelled: bool
) -> None:
    """No wait has them yet. A clear, or a move to another triggerer, leaves them."""
    server.pace("clock:3600")
    bundles = run.prepare(rows_of(3), max_requests=1)
    with pytest.raises(TaskDeferred) as deferred:
        run.execute(submitting(model_id, bundles, max_jobs_in_flight=1))
    killed(stored(deferred.value.trigger), state, monkeypatch)
    [job] = server.ledger
    assert (job["status"] == "cancelling") == cancelled


@pytest.mark.parametrize("returned", [[{"job": 1}], Unavailable("no answer")], ids=["jobs", "nothing known"])
def test_a_submission_that_succeeded_meanwhile_leaves_its_jobs_to_their_wait(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, returned: Any
) -> None:
    """A triggerer that stood still for minutes finds its wait gone: another has brought the turn, and the task went
    on. Where Airflow does not say what the task has returned, jobs that are paid run on.
    """
    server.pace("clock:3600")
    bundles = run.prepare(rows_of(3), max_requests=1)
    with pytest.raises(TaskDeferred) as deferred:
        run.execute(submitting(model_id, bundles, max_jobs_in_flight=1))
    killed(stored(deferred.value.trigger), "success", monkeypatch, returned)
    [job] = server.ledger
    assert job["status"] != "cancelling"


def in_turns(server: Server, run: Run, operator: Any, deferred: TaskDeferred | None = None) -> tuple[Any, int]:
    """Execute; whenever it waits for its turn, all that is live ends. The result, and how often it waited."""
    waits = 0
    while True:
        try:
            if deferred is None:
                return run.execute(operator), waits
            event = first_event(stored(deferred.trigger))
            return operator.turn_came(run.context(operator), event), waits
        except TaskDeferred as again:
            waits, deferred = waits + 1, again
            all_end(server)
            server.pace("clock:600")


def test_eight_shards_side_by_side_with_a_limit_of_three_go_in_threes(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    bundle = run.prepare(rows_of(8), max_requests=1)
    jobs, waits = in_turns(server, run, submitting(model_id, bundle, max_jobs_in_flight=3))
    assert [job["shard"]["index"] for job in jobs] == list(range(8))
    assert (waits, high_water(server)["jobs"], len(server.ledger), len(server.uploads())) == (2, 3, 8, 8)
    server.pace("instant")
    assert run.fetch(run.wait(jobs))["report"]["answered"] == 8


def test_a_limit_of_tokens_counts_the_bytes_of_all_input_files(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    bundles = run.prepare(rows_of(6), max_requests=2)
    size = max(shard["bytes"] for bundle in bundles for shard in bundle)
    limit = -(-size // 4) * 2
    jobs, waits = in_turns(server, run, submitting(model_id, bundles, max_enqueued_tokens=limit))
    assert (len(jobs), waits, high_water(server)["jobs"]) == (3, 1, 2)
    assert high_water(server)["bytes"] <= 4 * limit


def test_a_shard_over_the_limit_of_tokens_is_refused_before_anything_is_sent(
    server: Server, model_id: str, run: Run
) -> None:
    bundles = run.prepare(rows_of(2))
    with pytest.raises(AirflowFailException, match=r"max_enqueued_tokens is 10: lower limits\.max_bytes to 40"):
        run.execute(submitting(model_id, bundles, max_enqueued_tokens=10))
    assert (server.ledger, server.uploads()) == ([], [])


def test_a_file_that_parameters_name_counts_by_its_size(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": "x"}}
    parameters = {"input_file_id": server.upload([line])}
    with pytest.raises(AirflowFailException, match="max_enqueued_tokens is 10"):
        run.execute(submitting(model_id, None, parameters=parameters, max_enqueued_tokens=10))
    assert server.ledger == []
    assert len(run.execute(submitting(model_id, None, parameters=parameters, max_enqueued_tokens=100))) == 1


def test_where_the_provider_does_not_list_its_jobs_nothing_is_sent(server: Server, model_id: str, run: Run) -> None:
    bundle = run.prepare(rows_of(2))
    server.fault("answer", method="GET", path="^/v1/batches$", status=403, body={"error": {"message": "no lists"}})
    with pytest.raises(AirflowFailException, match="no limit can hold.*HTTP 403: .*no lists.*right to list"):
        run.execute(submitting(model_id, bundle, max_jobs_in_flight=1))
    assert (server.ledger, server.uploads()) == ([], [])


def test_thousands_of_jobs_that_have_ended_are_read_by_pages_and_not_while_the_limit_is_full(
    server: Server, model_id: str, run: Run
) -> None:
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}
    body = {"input_file_id": server.upload([line]), "endpoint": "/v1/embeddings", "completion_window": "24h"}
    key = {"Authorization": f"Bearer {KEY}"}
    for _ in range(250):
        server.http.post("/v1/batches", json=body, headers=key).raise_for_status()
    all_end(server)

    def pages(kind: str) -> int:
        return len([call for call in server.calls if (call["method"], call["path"]) == ("GET", f"/v1/{kind}")])

    server.pace("clock:600")
    other = Run(run.folder, run_id="another")
    first, second = run.prepare(rows_of(1)), other.prepare(rows_of(1))
    server.ask("DELETE", "/_sandbox/calls")
    run.execute(submitting(model_id, first, max_jobs_in_flight=1))
    assert (pages("batches"), pages("files")) == (3, 2), "of the files one is to find earlier uploads"
    server.ask("DELETE", "/_sandbox/calls")
    with pytest.raises(TaskDeferred):
        other.execute(submitting(model_id, second, max_jobs_in_flight=1))
    assert (pages("batches"), pages("files")) == (1, 1)


def test_jobs_of_others_with_the_same_key_count(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}
    body = {"input_file_id": server.upload([line]), "endpoint": "/v1/embeddings", "completion_window": "24h"}
    server.http.post("/v1/batches", json=body, headers={"Authorization": f"Bearer {KEY}"}).raise_for_status()
    _, waits = in_turns(server, run, submitting(model_id, run.prepare(rows_of(1)), max_jobs_in_flight=1))
    assert (waits, high_water(server)["jobs"]) == (1, 1)


def test_a_submission_whose_worker_was_killed_keeps_its_place(server: Server, model_id: str, run: Run) -> None:
    """Its upload is there, its job may come any moment: another run has to wait for that."""
    server.fault("answer", path="_batch_predict", status=403, body="stands for the end of the worker")
    bundles = run.prepare(rows_of(1))
    with pytest.raises(AirflowFailException):
        run.execute(submitting(model_id, bundles, max_jobs_in_flight=1))
    other = Run(run.folder, run_id="another")
    with pytest.raises(TaskDeferred):
        other.execute(submitting(model_id, bundles, max_jobs_in_flight=1))
    assert server.ledger == []
    assert len(run.execute(submitting(model_id, bundles, max_jobs_in_flight=1))) == 1, (
        "its own upload is not in its way"
    )


def test_a_job_that_the_list_does_not_show_yet_keeps_its_place(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    behind = {"object": "list", "data": [], "has_more": False}
    server.fault("answer", method="GET", path="^/v1/batches$", status=200, body=behind, times=-1)
    run.execute(submitting(model_id, run.prepare(rows_of(1)), max_jobs_in_flight=1))
    other = Run(run.folder, run_id="another")
    with pytest.raises(TaskDeferred):
        other.execute(submitting(model_id, other.prepare(rows_of(1)), max_jobs_in_flight=1))
    assert len(server.ledger) == 1


def test_a_limit_without_a_pool_says_how_to_make_one(server: Server, model_id: str, run: Run) -> None:
    bundles = run.prepare(rows_of(1))
    with pytest.raises(AirflowFailException, match=r"airflow pools set opensearch_batch_submits 1 .*pool="):
        run.submit(model_id, bundles, max_jobs_in_flight=1)
    assert (server.ledger, server.uploads()) == ([], [])


def test_what_the_wait_stores_holds_no_key(server: Server, model_id: str, run: Run) -> None:
    server.pace("clock:600")
    with pytest.raises(TaskDeferred) as caught:
        run.execute(submitting(model_id, run.prepare(rows_of(2), max_requests=1), max_jobs_in_flight=1))
    assert KEY not in json.dumps(stored(caught.value.trigger).serialize())
    server.fault("answer", method="GET", path="/v1/batches", status=401, body={"error": {"message": f"bad {KEY}"}})
    event = first_event(stored(caught.value.trigger))
    assert event["terminal"]
    assert "HTTP 401" in event["error"]
    assert KEY not in event["error"]


def deferred_of(run: Run, operator: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        run.execute(operator)
    return caught.value


def waiting(run: Run, jobs: Any, **settings: Any) -> Any:
    """The sensor through all its waits, each trigger rebuilt from what Airflow stores."""
    operator = sensor(jobs, **settings)
    seen: list[str] = []
    deferred: TaskDeferred | None = None
    while True:
        try:
            if deferred is None:
                return run.execute(operator), seen
            trigger: Any = deferred.trigger
            remade: Any = stored(trigger) if isinstance(trigger, TurnTrigger) else rebuilt(trigger)
            operator = sensor(jobs, **settings)
            return getattr(operator, deferred.method_name)(run.context(operator), first_event(remade)), seen
        except TaskDeferred as again:
            seen.append(type(again.trigger).__name__)
            assert len(seen) < 10, seen
            deferred = again


def test_a_job_that_was_turned_away_goes_on_as_another(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(4), max_requests=2))
    outcomes, _ = waiting(run, jobs)
    assert [each["state"] for each in outcomes] == ["completed", "completed"]
    replaced = [(old, new["job"]) for old, new in zip(jobs, outcomes, strict=True) if old != new["job"]]
    assert [(old["attempt"], new["attempt"], new["shard"] == old["shard"]) for old, new in replaced] == [(1, 2, True)]
    report = run.fetch(outcomes)["report"]
    assert (report["answered"], report["failed"]) == (4, 0)
    assert sorted(job["status"] for job in server.ledger) == ["completed", "completed", "failed"]


def test_of_a_bundle_those_turned_away_go_on_one_by_one_and_the_others_outcomes_are_kept(
    server: Server, model_id: str, run: Run
) -> None:
    """With room for one job, the second has to wait for its turn while the first that was sent again runs."""
    server.fault("fail_batch", code="token_limit_exceeded", times=2)
    jobs = run.submit(model_id, run.prepare(rows_of(5), max_requests=1))
    operator = sensor(jobs, max_jobs_in_flight=1, pool=POOL)
    event = first_event(rebuilt(deferred_of(run, operator).trigger))
    server.pace("clock:600")
    with pytest.raises(TaskDeferred) as turn:
        operator.execute_complete(run.context(operator), event)
    assert (high_water(server)["live_jobs"], len(server.ledger)) == (1, 6)
    all_end(server)
    with pytest.raises(TaskDeferred) as ends:
        operator.turn_came(run.context(operator), first_event(stored(turn.value.trigger)))
    outcomes = operator.execute_complete(run.context(operator), first_event(rebuilt(ends.value.trigger)))
    assert [each["state"] for each in outcomes] == ["completed"] * 5
    again = [new["job"] for old, new in zip(jobs, outcomes, strict=True) if old != new["job"]]
    assert [job["attempt"] for job in again] == [2, 2]
    assert len(server.ledger) == 7
    assert run.fetch(outcomes)["report"]["answered"] == 5


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_a_person_who_ends_that_wait_for_a_turn_ends_what_went_again(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, cancel_on_kill: bool
) -> None:
    server.fault("fail_batch", code="token_limit_exceeded", times=2)
    jobs = run.submit(model_id, run.prepare(rows_of(3), max_requests=1))
    operator = sensor(jobs, max_jobs_in_flight=1, pool=POOL, cancel_on_kill=cancel_on_kill)
    event = first_event(rebuilt(deferred_of(run, operator).trigger))
    server.pace("clock:600")
    with pytest.raises(TaskDeferred) as turn:
        operator.execute_complete(run.context(operator), event)
    killed(stored(turn.value.trigger), "failed", monkeypatch)
    assert len(server.ledger) == 4
    assert [job["status"] for job in server.ledger if job["status"] not in ("failed", "completed")] == [
        "cancelling" if cancel_on_kill else "validating"
    ]


def test_where_a_new_job_is_refused_the_others_outcomes_are_kept(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(6), max_requests=2))
    stopped = deferred_of(run, sensor(jobs))
    event = first_event(rebuilt(stopped.trigger))
    server.fault("answer", method="GET", path="^/v1/batches$", status=403, body={"error": {"message": "no lists"}})
    waits = sensor(jobs)
    outcomes = waits.execute_complete(run.context(waits), event)
    assert sorted(each["state"] for each in outcomes) == ["completed", "completed", "failed"]
    assert len(server.ledger) == 3
    afterwards, _ = waiting(run, jobs)
    assert [each["state"] for each in afterwards] == ["completed"] * 3, "clearing the task tries again"


def test_clearing_submit_and_wait_afterwards_finds_the_job_that_counts(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    bundles = run.prepare(rows_of(2))
    first, _ = waiting(run, run.submit(model_id, bundles))
    again, _ = waiting(run, run.submit(model_id, bundles))
    assert timeless(again) == timeless(first)
    run.states.clear()
    assert (
        waiting(run, run.submit(model_id, bundles))[0][0]["job"]["provider_job_id"]
        == (first[0]["job"]["provider_job_id"])
    )
    assert len(server.ledger) == 2


def test_it_waits_for_fewer_jobs_than_it_was_turned_away_beside(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1")  # a job that nobody looks at stays live
    other = Run(run.folder, run_id="another")
    other.submit(model_id, other.prepare(rows_of(1)))
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    looked_at(server, jobs[0]["provider_job_id"], "failed")
    operator = sensor(jobs)
    with pytest.raises(TaskDeferred) as turn:
        run.execute(operator)
    trigger = stored(turn.value.trigger)
    assert (trigger.wanted["below"], trigger.max_jobs, len(server.ledger)) == (1, None, 2)
    server.pace("instant")
    with pytest.raises(TaskDeferred) as waits:
        operator.turn_came(run.context(operator), first_event(trigger))
    (outcome,) = operator.execute_complete(run.context(operator), first_event(rebuilt(waits.value.trigger)))
    assert (outcome["state"], outcome["job"]["attempt"], len(server.ledger)) == ("completed", 2, 3)


def at_the_task_limit(server: Server, times: int) -> None:
    words = "Exceeded maximum limit for BATCH_PREDICTION tasks. To increase the limit, update the setting."
    body = {"error": {"reason": words, "type": "status_exception"}, "status": 429}
    server.fault("answer", path="_batch_predict", status=429, body=body, times=times)


def test_beside_a_job_that_waits_for_its_turn_one_without_room_is_tried_no_sooner(
    server: Server, model_id: str, run: Run
) -> None:
    """A turn for the large job would come at once where only the small one's place is missing."""
    server.pace("clock:600")
    first, *_ = run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
    large, small = {"id": "large", "text": "long " * 100}, {"id": "small", "text": "short"}
    bundles = run.prepare([large, small], max_requests=1)
    sizes = [shard["bytes"] for bundle in bundles for shard in bundle]
    limit = -(-(first["shard"]["bytes"] + max(sizes)) // 4) - 10
    at_the_task_limit(server, -1)
    turn = deferred_of(run, submitting(model_id, bundles, max_enqueued_tokens=limit))
    assert (turn.trigger.wanted["name"], turn.trigger.wanted["awaits"]) == ("shard 1", "room")


def test_a_job_that_was_turned_away_and_finds_no_place_in_the_cluster_is_tried_again(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(4), max_requests=2))
    at_the_task_limit(server, 5)
    outcomes, seen = waiting(run, jobs)
    assert [each["state"] for each in outcomes] == ["completed", "completed"]
    assert seen.count("TurnTrigger") == 5, "more than the retries of a task"
    assert (len(server.ledger), sorted(each["job"]["attempt"] for each in outcomes)) == (3, [1, 2])


def test_a_job_that_was_turned_away_stands_when_it_was_tried_long_enough(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(4), max_requests=2))
    at_the_task_limit(server, -1)
    all_end(server)
    waits = sensor(jobs)
    turn = deferred_of(run, waits)
    (bar,) = (key for key in run.states["wait"] if key.startswith("bar-"))
    run.states["wait"][bar]["since"] -= 25 * 3600
    outcomes = waits.turn_came(run.context(waits), first_event(stored(turn.trigger)))
    assert sorted(each["state"] for each in outcomes) == ["completed", "failed"]
    assert len(server.ledger) == 2


def test_turned_away_with_nothing_else_in_flight_it_stands(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded", times=-1)
    outcomes, _ = waiting(run, run.submit(model_id, run.prepare(rows_of(2))))
    assert [(each["state"], each["error_code"]) for each in outcomes] == [("failed", "token_limit_exceeded")]
    assert len(server.ledger) == 2


def test_what_a_repair_round_has_is_not_submitted_again(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded", times=2)
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    outcomes, _ = waiting(run, jobs)
    assert run.fetch(outcomes, final=False, repair=True)["landed"][0]["repair"]["rows"] == 2
    run.states.clear()
    again, _ = waiting(run, jobs)
    assert ([each["state"] for each in again], len(server.ledger)) == (["failed"], 2)


def test_what_is_submitted_again_needs_the_pool_too(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    with pytest.raises(AirflowFailException, match="airflow pools set"):
        waiting(run, jobs, max_jobs_in_flight=1)
    outcomes, _ = waiting(run, jobs, max_jobs_in_flight=1, pool=POOL)
    assert outcomes[0]["state"] == "completed"
    assert high_water(server)["jobs"] == 1


def test_no_shard_is_larger_than_the_limit_of_tokens(server: Server, run: Run) -> None:
    model = {"name": MODEL, "parameters": {"dimensions": 8}}
    bundles = run.execute(
        PrepareInputOperator(
            task_id="prepare",
            spec={
                "name": "limited",
                "model": model,
                "input": {"uri": run.write(rows_of(10))},
                "output": {"uri": f"file://{run.out}"},
                "work_uri": f"file://{run.folder}/work",
                "limits": {"max_enqueued_tokens": 100},
            },
        )
    )
    sizes = [shard["bytes"] for bundle in bundles for shard in bundle]
    assert len(sizes) > 1
    assert max(sizes) <= 400
