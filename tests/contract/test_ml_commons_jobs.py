"""Predicting and batch jobs through ML Commons: what is sent to the provider, and what comes of its answers."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.contract.cluster import KEY, Cluster, connector, rows, until
from tests.contract.conftest import Provider


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
    submitted = cluster.submit(model_id, file_id, key="dag/run/1")
    assert submitted["status"] == "CREATED"
    assert submitted["remote_job"]["status"] == "validating"
    assert submitted["remote_job"]["metadata"] == {"key": "dag/run/1"}
    assert submitted["remote_job"]["dlq"] is None
    task_id = submitted["task_id"]
    for query in (
        {"term": {"remote_job.input_file_id": file_id}},
        {"term": {"remote_job.metadata.key": "dag/run/1"}},
        {"bool": {"filter": [{"term": {"task_type": "BATCH_PREDICTION"}}, {"term": {"model_id": model_id}}]}},
    ):
        assert cluster.found("tasks", query) == [task_id]
    task = until(lambda: cluster.ok("GET", f"/tasks/{task_id}"), lambda found: found["state"] == "COMPLETED")
    assert task["remote_job"]["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    assert len(provider.lines(task["remote_job"]["output_file_id"])) == 3
    assert "task_id" not in task
    (job,) = cluster.sandbox("ledger")
    assert job == {
        "id": submitted["remote_job"]["id"],
        "input_file_id": file_id,
        "model": "text-embedding-3-small",
        "requests": 3,
        "status": "completed",
        "created_at": submitted["remote_job"]["created_at"],
    }


def test_whose_headers_are_sent(cluster: Cluster, provider: Provider) -> None:
    cluster.ok("POST", "/_sandbox/pace", {"pace": "polls:100"})
    model_id = cluster.model()
    task_id = cluster.submit(model_id, provider.upload(rows(1)), key="a/b")["task_id"]
    cluster.ok("GET", f"/tasks/{task_id}")
    assert cluster.ok("POST", f"/tasks/{task_id}/_cancel") == {"status": "OK"}
    until(lambda: cluster.ok("GET", f"/tasks/{task_id}")["state"], lambda state: state == "CANCELLING")
    submit, look, cancel = cluster.provider_calls()[:3]
    assert [call["headers"]["x-mark"] for call in (submit, look, cancel)] == [
        "predict",
        "predict",
        "cancel_batch_predict",
    ]
    assert submit["headers"]["authorization"] == f"Bearer {KEY}"
    assert submit["body"]["metadata"] == {"key": "a/b"}
    assert look["body"] == {}


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
    assert cluster.found("tasks", {"term": {"task_type": "BATCH_PREDICTION"}}) == []


def test_a_submission_without_a_body(cluster: Cluster) -> None:
    path = f"/models/{cluster.model()}/_batch_predict"
    assert cluster.refused("POST", path) == (400, "parse_exception", "request body is required")
    assert cluster.call("GET", path) == (
        405,
        {
            "error": f"Incorrect HTTP method for uri [/_plugins/_ml{path}] and method [GET], allowed: [POST]",
            "status": 405,
        },
    )


def test_an_undeployed_model_deploys_itself_and_a_disabled_one_does_not_answer(
    cluster: Cluster, provider: Provider
) -> None:
    model_id = cluster.model()
    (stats,) = cluster.ok("POST", f"/models/{model_id}/_undeploy").values()
    assert stats == {"stats": {model_id: "undeployed"}}
    cluster.submit(model_id, provider.upload(rows(1)))
    until(lambda: cluster.state(model_id), lambda state: state == "DEPLOYED")
    cluster.ok("PUT", f"/models/{model_id}", {"is_enabled": False})
    refused = cluster.refused("POST", f"/models/{model_id}/_batch_predict", {"parameters": {}})
    assert refused == (403, "status_exception", "Model is disabled.")


def test_cancelling_and_deleting_tasks(cluster: Cluster, provider: Provider) -> None:
    cluster.ok("POST", "/_sandbox/pace", {"pace": "polls:1000"})
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    running = (500, "exception", "Task cannot be deleted in running state. Try after some time.")
    assert cluster.refused("DELETE", f"/tasks/{task_id}") == running
    path = f"/tasks/{task_id}/_cancel_batch"
    assert cluster.call("POST", path) == (
        400,
        {"error": f"no handler found for uri [/_plugins/_ml{path}] and method [POST]"},
    )
    cluster.ok("POST", f"/tasks/{task_id}/_cancel")
    assert cluster.found("tasks", {"term": {"state": "RUNNING"}}) == [task_id]
    assert cluster.ok("GET", f"/tasks/{task_id}")["state"] == "CANCELLING"
    assert cluster.ok("DELETE", f"/tasks/{task_id}")["result"] == "deleted"


def test_two_reads_at_once_conflict(cluster: Cluster, provider: Provider) -> None:
    cluster.ok("POST", "/_sandbox/pace", {"pace": "polls:1000"})
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    cluster.fault("delay", method="GET", path="/v1/batches/", seconds=0.3)
    answers: list[tuple[int, Any]] = []
    slow = Cluster(cluster.url)
    reader = threading.Thread(target=lambda: answers.append(slow.call("GET", f"/tasks/{task_id}")))
    reader.start()
    until(lambda: cluster.sandbox("faults"), lambda faults: faults == [])
    cluster.ok("GET", f"/tasks/{task_id}")
    reader.join()
    slow.close()
    ((status, answer),) = answers
    assert (status, answer["error"]["type"]) == (409, "version_conflict_engine_exception")
    assert answer["error"]["reason"].startswith(f"[{task_id}]: version conflict, required seqNo [")


def test_a_target_that_is_not_loopback_is_refused_with_its_url(cluster: Cluster) -> None:
    model_id = cluster.model(
        str(cluster.ok("POST", "/connectors/_create", connector("https://api.openai.com"))["connector_id"])
    )
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    status, _, reason = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
    assert status == 400
    assert "loopback" in reason
    assert "https://api.openai.com/v1/batches" in reason


def test_a_provider_that_is_not_there(cluster: Cluster) -> None:
    created = cluster.ok("POST", "/connectors/_create", connector("http://127.0.0.1:9"))
    model_id = cluster.model(created["connector_id"])
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    assert cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == (
        500,
        "status_exception",
        "Error communicating with remote model: Connection refused: /127.0.0.1:9",
    )


def test_a_follow_up_action_without_a_body_is_unconfigured(cluster: Cluster, provider: Provider) -> None:
    body = connector(cluster.url)
    for action in body["actions"][2:]:
        del action["request_body"]
    model_id = cluster.model(cluster.ok("POST", "/connectors/_create", body)["connector_id"])
    task_id = cluster.submit(model_id, provider.upload(rows(1)))["task_id"]
    assert cluster.refused("GET", f"/tasks/{task_id}") == (
        500,
        "unsupported_operation_exception",
        "Please configure the action type to get the batch job details in the connector",
    )


def test_2_19_counts_in_floats_and_ten_jobs_at_most(old_cluster: Cluster) -> None:
    provider = Provider(old_cluster.url)
    old_cluster.ok("POST", "/_sandbox/pace", {"pace": "polls:1000"})
    model_id = old_cluster.model()
    file_id = provider.upload(rows(1))
    first = old_cluster.submit(model_id, file_id)
    assert str(first["remote_job"]["request_counts"]) == "{'total': 0.0, 'completed': 0.0, 'failed': 0.0}"
    for _ in range(9):
        old_cluster.submit(model_id, file_id)
    body = {"parameters": {"input_file_id": file_id, "key": "k"}}
    assert old_cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == (
        429,
        "status_exception",
        "Exceeded maximum limit for BATCH_PREDICTION tasks. To increase the limit, update the "
        "plugins.ml_commons.max_batch_inference_tasks setting.",
    )
    raised = {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 11}}
    assert old_cluster.ok("PUT", "/_cluster/settings", raised)["acknowledged"] is True
    old_cluster.submit(model_id, file_id)
    assert old_cluster.ok("GET", "/")["version"]["number"] == "2.19.6"
