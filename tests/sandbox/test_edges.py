"""Corners where two instances of one task meet, where the DAG says otherwise, or where only part of a thing worked."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster import ml_commons
from opensearch_batch.errors import SpecError, Unavailable
from opensearch_batch.operators import CancelBatchOperator, CreateConnectorOperator, SubmitBatchOperator
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.tasks.base import cluster, flat
from opensearch_batch.tasks.deadlines import Deadlines, wait_key
from opensearch_batch.tasks.partition import placeholders
from opensearch_batch.wait import refusals
from tests.sandbox.bench import Run, Server, first_event, rows_of, sensor

SEND = "opensearch_default"


def test_mapped_preparations_keep_their_shards_apart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run.prepare(rows_of(3))
    monkeypatch.setattr("tests.sandbox.bench.TaskInstance.map_index", 1)
    second = run.prepare(rows_of(5))
    assert first[0][0]["uri"] != second[0][0]["uri"]
    assert len(list(run.folder.glob("work/**/*.jsonl"))) == 2


def test_a_mapped_fetch_may_not_speak_for_the_run(model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(2))))
    monkeypatch.setattr("tests.sandbox.bench.TaskInstance.map_index", 0)
    with pytest.raises(AirflowFailException, match="final=False, and a ReportOperator"):
        run.fetch(outcomes)


def test_an_upload_that_came_in_short_is_deleted_and_never_adopted(server: Server, model_id: str, run: Run) -> None:
    bundles = run.prepare(rows_of(2))
    told = [[{**bundles[0][0], "bytes": bundles[0][0]["bytes"] + 1}]]
    with pytest.raises(Unavailable, match="deleted again"):
        run.submit(model_id, told)
    assert (server.uploads(), server.ledger) == ([], [])
    run.submit(model_id, bundles)
    assert len(server.ledger) == 1


def test_one_job_that_cannot_be_cancelled_does_not_save_the_others(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(3), max_requests=1))
    lost = {**jobs[0], "task_id": None, "provider_job_id": "batch_nowhere"}
    with pytest.raises(Unavailable, match="not cancelled: .*batch_nowhere"):
        run.execute(CancelBatchOperator(task_id="cancel", jobs=[lost, *jobs[1:]]))
    states = {job["id"]: job["status"] for job in server.ledger}
    assert states[jobs[0]["provider_job_id"]] not in ("cancelling", "cancelled")
    assert {states[job["provider_job_id"]] for job in jobs[1:]} <= {"cancelling", "cancelled"}


def test_default_args_of_the_dag_win_over_our_patience() -> None:
    with DAG("impatient", schedule=None, default_args={"retries": 0, "timeout": 60}):
        submit = SubmitBatchOperator(task_id="submit", model_id="m", shards=[])
        wait = BatchSensor(task_id="wait", jobs=[])
    assert (submit.retries, wait.retries, wait.timeout) == (0, 0, 60)
    with DAG("ours", schedule=None):
        assert SubmitBatchOperator(task_id="submit", model_id="m", shards=[]).retries == 3


def test_a_poke_interval_alone_leaves_the_specs_timeout(run: Run) -> None:
    spec = {"name": "s", "model": {"name": "m"}, "input": {"uri": "file:///i"}, "output": {"uri": "file:///o"}}
    waiting = sensor([], spec={**spec, "wait": {"timeout_hours": 2}}, poke_interval=7)
    run.execute(waiting)
    assert (waiting.poke_interval, waiting.timeout) == (7, 7200)


FILES = {"files_uri": "s3://bucket/jobs", "role_arn": "arn:aws:iam::123456789012:role/batch"}


@pytest.mark.parametrize(
    ("model", "hours"),
    [
        ({"provider": "openai"}, 25),
        ({"provider": "cohere"}, 25),
        ({"provider": "sagemaker", "job": {"files_uri": "s3://bucket/jobs", "instance_type": "ml.m5.large"}}, 121),
        ({"provider": "bedrock", "job": FILES}, 25),
        ({"provider": "bedrock", "job": {**FILES, "timeout_hours": 48}}, 49),
    ],
)
def test_a_wait_lasts_the_providers_window_and_one_hour(run: Run, model: dict[str, Any], hours: int) -> None:
    """With a spec, and by hand."""
    spec = {"name": "s", "model": {**model, "name": "m"}, "input": {"uri": "file:///i"}, "output": {"uri": "file:///o"}}
    of_spec, by_hand, given = sensor([], spec=spec), sensor([], **model), sensor([], **model, timeout=60)
    for waiting in (of_spec, by_hand, given):
        run.execute(waiting)
    assert (of_spec.timeout, by_hand.timeout, given.timeout) == (hours * 3600, hours * 3600, 60)


def test_a_wait_whose_deadline_has_passed_gets_a_new_one_when_cleared(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    store = run.context(sensor(jobs))["task_state_store"]
    waiting = sensor(jobs, timeout=1000)
    store.set(wait_key("deadline", waiting.linked_jobs), 1.0)
    assert Deadlines(store, waiting.linked_jobs).deadline(waiting.timeout) > 1000


def test_redeploying_leaves_models_alone_that_someone_had_undeployed(server: Server) -> None:
    model_id = server.model(name="resting")
    send = cluster(SEND)
    connector_id = send(ml_commons.get_model(model_id))["connector_id"]
    send(ml_commons.undeploy_model(model_id))
    from opensearch_batch.cluster.registration import replace_connector

    replace_connector(send, connector_id, {"credential": {"openAI_key": "sk-sandbox-not-a-secret-2"}})
    assert send(ml_commons.get_model(model_id))["model_state"] == "UNDEPLOYED"


def test_a_parameter_that_an_update_cannot_take_away_is_named(server: Server) -> None:
    model_id = server.model(name="fewer")
    send = cluster(SEND)
    connector_id = send(ml_commons.get_model(model_id))["connector_id"]
    from opensearch_batch.cluster.registration import replace_connector

    with pytest.raises(SpecError, match="cannot take away: .*register under another name"):
        replace_connector(send, connector_id, {"parameters": {}})
    assert send(ml_commons.get_model(model_id))["model_state"] == "DEPLOYED"


def test_a_literal_key_does_not_get_as_far_as_a_stored_dag() -> None:
    with pytest.raises(SpecError, match="keys come from a connection") as refused:
        CreateConnectorOperator(task_id="c", body={"name": "n", "actions": [], "credential": {"k": "sk-literal"}})
    assert "sk-literal" not in str(refused.value)


def test_a_template_in_place_of_an_output_is_told_apart() -> None:
    with pytest.raises(SpecError, match="hand on the task's output itself"):
        flat("[{'key': 1}]")


def test_a_key_that_a_server_echoes_is_not_in_the_event(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are stored readable."""
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    server.pace("polls:1000")
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    body = {"error": {"message": "Incorrect key sk-sandbox-not-a-secret", "code": "invalid_api_key"}}
    server.fault("answer", method="GET", path="/tasks/.*", status=401, body="Unauthorized", times=-1)
    server.fault("answer", method="GET", path="/v1/batches/.*", status=401, body=body, times=-1)
    waiting = sensor(jobs)
    from opensearch_batch.tasks.wait_trigger import BatchTrigger

    event = first_event(
        BatchTrigger(
            jobs=jobs,
            provider="openai",
            opensearch_conn_id="opensearch_default",
            provider_conn_id="openai_default",
            poll_seconds=0.1,
            deadline=waiting.timeout + 1e10,
        )
    )
    assert event["terminal"] is True
    assert "Incorrect key ***" in event["error"]
    assert "sk-sandbox-not-a-secret" not in event["error"]


def night(start: datetime.datetime, end: datetime.datetime, run_type: str, timezone: Any = None) -> Any:
    import pendulum

    return {
        "dag_run": SimpleNamespace(conf={}, partition_key=None, run_id="r", run_type=run_type, run_after=end),
        "dag": SimpleNamespace(timetable=SimpleNamespace(timezone=timezone)),
        "data_interval_start": pendulum.instance(start),
        "data_interval_end": pendulum.instance(end),
    }


def test_an_interval_of_no_length_says_nothing_for_a_run_by_hand() -> None:
    at = datetime.datetime(2026, 11, 22, 9, tzinfo=datetime.UTC)
    assert placeholders(night(at, at, "manual"), "%Y-%m-%d")["partition"] is None
    assert placeholders(night(at, at, "scheduled"), "%Y-%m-%d")["partition"] == "2026-11-22"


def test_the_day_is_that_of_the_timetables_own_zone() -> None:
    start = datetime.datetime(2026, 11, 20, 23, tzinfo=datetime.UTC)
    berlin = night(start, start + datetime.timedelta(days=1), "scheduled", "Europe/Berlin")
    assert placeholders(berlin, "%Y-%m-%d")["partition"] == "2026-11-21"
