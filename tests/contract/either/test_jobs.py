"""Predicting and batch jobs: what is sent to the provider, and what comes of its answers, on 2.19.6 and 3.6.0."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.cluster import KEY, ML, Cluster, connector, rows
from tests.contract.conftest import Provider
from tests.patience import until


def test_predict_answers_with_what_the_provider_said(cluster: Cluster) -> None:
    model_id = cluster.model()
    answer = cluster.ok("POST", f"/models/{model_id}/_predict", {"parameters": {"input": ["a"]}})
    (result,) = answer["inference_results"]
    assert result["status_code"] == 200
    assert result["output"][0]["name"] == "response"
    assert len(result["output"][0]["dataAsMap"]["data"][0]["embedding"]) == 256


def test_a_job_from_submission_to_completion(cluster: Cluster, provider: Provider) -> None:
    model_id = cluster.model()
    file_id = provider.upload(rows(3))
    key = f"dag/run/{uuid4()}"
    submitted = cluster.submit(model_id, file_id, key=key)
    assert submitted["status"] == "CREATED"
    assert submitted["remote_job"]["status"] == "validating"
    assert submitted["remote_job"]["metadata"] == {"key": key}
    assert submitted["remote_job"]["dlq"] is None
    task_id = submitted["task_id"]
    for query in (
        {"term": {"remote_job.input_file_id": file_id}},
        {"term": {"remote_job.metadata.key": key}},
        {"bool": {"filter": [{"term": {"task_type": "BATCH_PREDICTION"}}, {"term": {"model_id": model_id}}]}},
    ):
        assert cluster.found("tasks", query) == [task_id]
    task = until(lambda: cluster.ok("GET", f"/tasks/{task_id}"), lambda found: found["state"] == "COMPLETED")
    assert task["remote_job"]["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert len(provider.lines(task["remote_job"]["output_file_id"])) == 3
    assert "task_id" not in task
    (job,) = cluster.sandbox("ledger")
    assert job == {
        "provider": "openai",
        "id": submitted["remote_job"]["id"],
        "input_file_id": file_id,
        "model": "text-embedding-3-small",
        "requests": 3,
        "done": 3,
        "status": "completed",
        "created_at": submitted["remote_job"]["created_at"],
    }


def test_whose_headers_are_sent(cluster: Cluster, provider: Provider, is_3x: bool) -> None:
    cluster.order("pace", {"pace": "polls:100"})
    model_id = cluster.model()
    task_id = cluster.submit(model_id, provider.upload(rows(1)), key="a/b")["task_id"]
    cluster.ok("GET", f"/tasks/{task_id}")
    assert cluster.ok("POST", f"/tasks/{task_id}/_cancel") == {"status": "OK"}
    until(lambda: cluster.ok("GET", f"/tasks/{task_id}")["state"], lambda state: state == "CANCELLING")
    calls = cluster.provider_calls()
    (submit,) = (call for call in calls if call["path"] == "/v1/batches")
    look = next(call for call in calls if call["method"] == "GET")
    (cancel,) = (call for call in calls if call["path"].endswith("/cancel"))
    assert [call["headers"]["x-mark"] for call in (submit, look, cancel)] == [
        "predict",
        "predict",
        "cancel_batch_predict",
    ]
    assert submit["headers"]["authorization"] == f"Bearer {KEY}"
    assert submit["body"]["metadata"] == {"key": "a/b"}
    assert look["body"] == ({} if is_3x else None)


BATCH_REFUSALS = [
    (
        {},
        (
            400,
            "illegal_argument_exception",
            "Some parameter placeholder not filled in payload: input_file_id, key",
        ),
    ),
    (
        {"parameters": {"input_file_id": "f", "key": '{"a":1}'}},
        (
            400,
            "illegal_argument_exception",
            'Invalid payload: { "input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h", '
            '"metadata": { "key": "{"a":1}" } }',
        ),
    ),
    (
        {"parameters": {"input_file_id": "file-x", "key": "k"}},
        (
            400,
            "status_exception",
            'Error from remote service: {"error":{"message":"No such File object: file-x","type":'
            '"invalid_request_error","param":"input_file_id","code":null}}',
        ),
    ),
]


@pytest.mark.parametrize(("body", "expected"), BATCH_REFUSALS)
def test_a_refused_submission_leaves_no_task(
    cluster: Cluster, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    model_id = cluster.model()
    assert cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == expected
    batches = [{"term": {"task_type": "BATCH_PREDICTION"}}, {"term": {"model_id": model_id}}]
    assert cluster.found("tasks", {"bool": {"filter": batches}}) == []


def test_a_submission_without_a_body(cluster: Cluster) -> None:
    path = f"/models/{cluster.model()}/_batch_predict"
    assert cluster.refused("POST", path) == (400, "parse_exception", "request body is required")
    assert cluster.call("GET", path) == (
        405,
        {
            "error": f"Incorrect HTTP method for uri [{ML}{path}] and method [GET], allowed: [POST]",
            "status": 405,
        },
    )


def test_an_undeployed_model_deploys_itself_and_a_disabled_one_does_not_answer(
    cluster: Cluster, provider: Provider
) -> None:
    model_id = cluster.model()
    (stats,) = cluster.undeploy(model_id).values()
    assert stats == {"stats": {model_id: "undeployed"}}
    cluster.submit(model_id, provider.upload(rows(1)))
    until(lambda: cluster.state(model_id), lambda state: state == "DEPLOYED")
    cluster.ok("PUT", f"/models/{model_id}", {"is_enabled": False})
    # The node may still hold the model as it was.
    disabled = (403, "status_exception", "Model is disabled.")
    submit = f"/models/{model_id}/_batch_predict"
    until(lambda: cluster.refused("POST", submit, {"parameters": {}}), lambda refused: refused == disabled)


def test_cancelling_and_deleting_tasks(cluster: Cluster, provider: Provider) -> None:
    cluster.order("pace", {"pace": "polls:1000"})
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    running = (500, "exception", "Task cannot be deleted in running state. Try after some time.")
    assert cluster.refused("DELETE", f"/tasks/{task_id}") == running
    path = f"/tasks/{task_id}/_cancel_batch"
    assert cluster.call("POST", path) == (
        400,
        {"error": f"no handler found for uri [{ML}{path}] and method [POST]"},
    )
    cluster.ok("POST", f"/tasks/{task_id}/_cancel")
    stored = [{"ids": {"values": [task_id]}}, {"term": {"state": "RUNNING"}}]
    assert cluster.found("tasks", {"bool": {"filter": stored}}) == [task_id]
    assert cluster.ok("GET", f"/tasks/{task_id}")["state"] == "CANCELLING"
    assert cluster.ok("DELETE", f"/tasks/{task_id}")["result"] == "deleted"


def test_reads_at_the_same_moment_conflict(cluster: Cluster, provider: Provider) -> None:
    cluster.order("pace", {"pace": "polls:1000"})
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: cluster.call("GET", f"/tasks/{task_id}"), range(16)))
    assert {status for status, _ in answers} == {200, 409}
    for error in (answer["error"] for status, answer in answers if status == 409):
        assert error["type"] == "version_conflict_engine_exception"
        assert error["reason"].startswith(f"[{task_id}]: version conflict, required seqNo [")


def test_a_slow_provider_makes_no_conflict(cluster: Cluster, provider: Provider) -> None:
    cluster.order("pace", {"pace": "polls:1000"})
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    cluster.fault("delay", method="GET", path="/v1/batches/", seconds=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cluster.call, "GET", f"/tasks/{task_id}")
        until(lambda: cluster.sandbox("faults"), lambda faults: faults == [])
        assert cluster.call("GET", f"/tasks/{task_id}")[0] == 200
        assert slow.result()[0] == 200


def test_a_provider_that_is_not_there(cluster: Cluster) -> None:
    host = httpx.URL(cluster.provider_url).host
    model_id = cluster.model(cluster.connector(f"http://{host}:9"))
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    assert cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == (
        500,
        "status_exception",
        f"Error communicating with remote model: Connection refused: /{host}:9",
    )


def test_a_follow_up_action_without_a_body_is_unconfigured(cluster: Cluster, provider: Provider) -> None:
    body = connector(cluster.provider_url)
    for action in body["actions"][2:]:
        del action["request_body"]
    model_id = cluster.model(cluster.ok("POST", "/connectors/_create", body)["connector_id"])
    task_id = cluster.submit(model_id, provider.upload(rows(1)))["task_id"]
    assert cluster.refused("GET", f"/tasks/{task_id}") == (
        500,
        "unsupported_operation_exception",
        "Please configure the action type to get the batch job details in the connector",
    )
