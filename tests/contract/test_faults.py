"""Each trouble that can be ordered, once."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from sandbox.fault_kinds import KINDS
from tests.contract.cluster import KEY, Cluster, jsonl, rows
from tests.patience import until

if TYPE_CHECKING:
    from tests.contract.conftest import Provider

CLOSED = "Error communicating with remote model: The connection was closed during the request."


def output_ids(provider: Provider, file_id: str | None) -> list[str]:
    return [json.loads(line)["custom_id"] for line in provider.lines(file_id)]


def test_answer(cluster: Cluster, provider: Provider) -> None:
    cluster.fault(
        "answer",
        method="POST",
        path="^/v1/batches$",
        status=429,
        headers={"Retry-After": "7"},
        body={"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
    )
    with pytest.raises(openai.RateLimitError) as caught:
        provider.start()
    assert caught.value.response.headers["retry-after"] == "7"
    assert provider.end(provider.start()).status == "completed"


def test_echo_key(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("echo_key", method="POST", path="^/v1/batches$", status=401)
    with pytest.raises(openai.AuthenticationError) as caught:
        provider.start()
    forms = (f"You sent Bearer {KEY}.", KEY[::-1], base64.b64encode(KEY.encode()).decode())
    assert [form for form in forms if form not in caught.value.message] == []
    cluster.fault("echo_key", path="/connectors/_create")
    body = {"name": "n", "credential": {"key": "sk-another-fake-key"}}
    status, _, reason = cluster.refused("POST", "/connectors/_create", body)
    assert (status, "sk-another-fake-key" in reason) == (400, True)


def test_answer_in_plain_text_is_relayed_by_ml_commons(cluster: Cluster) -> None:
    model_id = cluster.model()
    cluster.fault("answer", method="POST", path="^/v1/batches$", status=503, body="<html>down</html>")
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    assert cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == (
        503,
        "status_exception",
        "Error from remote service: <html>down</html>",
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 500, "body": ""}, (500, "Remote service returned error status 500 with empty body")),
        ({"status": 200, "body": ""}, (502, "Remote service returned empty response body")),
        ({"status": 200, "body": "not json"}, (400, "Invalid JSON format: Unrecognized token 'not'")),
    ],
)
def test_odd_answers_leave_no_task(cluster: Cluster, answer: dict[str, Any], expected: tuple[int, str]) -> None:
    model_id = cluster.model()
    cluster.fault("answer", path="^/v1/batches$", **answer)
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    status, _, reason = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
    assert status == expected[0]
    assert reason.startswith(expected[1])
    assert cluster.found("tasks", {"term": {"task_type": "BATCH_PREDICTION"}}) == []


def test_lost_answer(cluster: Cluster, provider: Provider) -> None:
    model_id = cluster.model()
    cluster.fault("lost_answer", method="POST", path="^/v1/batches$")
    body = {"parameters": {"input_file_id": provider.upload(rows(2)), "key": "k"}}
    status, type_, reason = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
    assert (status, type_) == (500, "status_exception")
    assert reason.startswith(CLOSED)
    assert cluster.found("tasks", {"term": {"remote_job.metadata.key": "k"}}) == []
    (job,) = cluster.sandbox("ledger")
    assert provider.end(job["id"]).status == "completed"


def test_late_accept(cluster: Cluster, provider: Provider) -> None:
    file_id = provider.upload(rows(2))
    cluster.fault("late_accept", method="POST", path="^/v1/batches$", seconds=0.3)
    with pytest.raises(openai.APIConnectionError):
        provider.api.batches.create(input_file_id=file_id, endpoint="/v1/embeddings", completion_window="24h")
    assert cluster.sandbox("ledger") == []
    (job,) = until(lambda: cluster.sandbox("ledger"), bool)
    assert job["input_file_id"] == file_id


def test_delay(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("delay", path="^/v1/models$", seconds=0.2)
    began = time.monotonic()
    provider.api.models.list()
    assert time.monotonic() - began >= 0.2


def test_hold(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("hold", path="^/v1/models$")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(provider.api.models.list)
        until(lambda: cluster.sandbox("faults"), lambda faults: faults == [])
        provider.api.files.list()
        assert not held.done()
        cluster.call("DELETE", "/_sandbox/faults")
        assert held.result().data


def test_a_delay_beyond_the_read_timeout_of_the_connector(cluster: Cluster, provider: Provider) -> None:
    model_id = cluster.model(cluster.connector(client_config={"read_timeout": 1}))
    cluster.fault("delay", path="^/v1/batches$", seconds=1.3)
    body = {"parameters": {"input_file_id": provider.upload(rows(1)), "key": "k"}}
    assert cluster.refused("POST", f"/models/{model_id}/_batch_predict", body) == (
        500,
        "status_exception",
        "Error communicating with remote model: Read timed out",
    )
    until(lambda: cluster.sandbox("ledger"), lambda jobs: len(jobs) == 1)


def test_list_lag(cluster: Cluster, provider: Provider) -> None:
    batch_id = provider.start()
    cluster.fault("list_lag", seconds=60)
    assert provider.api.batches.list().data == []
    assert [batch.id for batch in provider.api.batches.list()] == [batch_id]
    assert provider.api.batches.retrieve(batch_id).id == batch_id


def test_lose_row_duplicate_row_foreign_row_and_cut_row(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("lose_row", count=2)
    cluster.fault("duplicate_row", count=1)
    cluster.fault("cut_row")
    cluster.fault("foreign_row", count=2)
    batch = provider.end(provider.start(rows(10)))
    assert batch.request_counts is not None
    assert batch.request_counts.completed == 8  # what is lost the job does not know of
    lines = provider.lines(batch.output_file_id)
    whole = [line for line in lines if line.endswith("}")]
    assert (len(lines), len(whole)) == (10 - 2 + 1 + 2, 10 - 2 - 1 + 1 + 2)
    ids = [json.loads(line)["custom_id"] for line in whole]
    assert sorted(id_ for id_ in set(ids) if ids.count(id_) == 2) == ["row-2"]
    assert sorted(set(ids) - {f"row-{index}" for index in range(10)}) == ["foreign-1", "foreign-2"]
    clean = provider.end(provider.start(rows(10)))
    assert sorted(output_ids(provider, clean.output_file_id)) == sorted(f"row-{index}" for index in range(10))


def test_fail_rows(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("fail_rows", ids=["row-1"], code="server_error", message="boom", status_code=500)
    batch = provider.end(provider.start(rows(3)))
    (line,) = provider.lines(batch.error_file_id)
    failed = json.loads(line)
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("row-1", 500)
    assert failed["response"]["body"]["error"]["code"] == "server_error"
    assert sorted(output_ids(provider, batch.output_file_id)) == ["row-0", "row-2"]


def test_all_rows_fail(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("all_rows_fail", code="rate_limit_exceeded", message="no")
    batch = provider.end(provider.start(rows(3)))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert len(provider.lines(batch.error_file_id)) == 3


def test_reorder(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("reorder")
    batch = provider.end(provider.start(rows(1000)))
    ids = output_ids(provider, batch.output_file_id)
    assert sorted(ids) == sorted(f"row-{index}" for index in range(1000))
    # Without the fault the first rows asked are within the first chunk answered.
    assert any(int(id_.removeprefix("row-")) > 500 for id_ in ids[:200])


def test_fail_batch(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("fail_batch", code="token_limit_exceeded", message="Enqueued token limit reached")
    batch = provider.end(provider.start())
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert batch.errors.data[0].code == "token_limit_exceeded"


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("expire", "expired", "batch_expired"), ("cancel", "cancelled", "batch_cancelled")]
)
def test_a_batch_that_ends_early_has_partial_output(
    cluster: Cluster, provider: Provider, fault: str, status: str, code: str
) -> None:
    cluster.fault(fault, fraction=0.4)
    batch = provider.end(provider.start(rows(10)))
    assert batch.status == status
    assert sorted(output_ids(provider, batch.output_file_id)) == [f"row-{index}" for index in range(4)]
    missed = [json.loads(line) for line in provider.lines(batch.error_file_id)]
    assert len(missed) == 6
    assert {item["error"]["code"] for item in missed} == {code}
    assert {item["response"] for item in missed} == {None}


def test_cut_download(cluster: Cluster, provider: Provider) -> None:
    content = jsonl(rows(100))
    file_id = provider.upload_bytes(content)
    cluster.fault("cut_download", after_bytes=1000)
    got: list[bytes] = []
    with httpx.stream(
        "GET",
        f"{cluster.url}/v1/files/{file_id}/content",
        headers={"Authorization": f"Bearer {KEY}"},
        trust_env=False,
    ) as response:
        assert int(response.headers["content-length"]) == len(content)
        with pytest.raises(httpx.RemoteProtocolError):
            got.extend(response.iter_raw())
    assert b"".join(got) == content[:1000]
    assert provider.api.files.content(file_id).content == content


def test_slow_download(cluster: Cluster, provider: Provider) -> None:
    content = jsonl(rows(50))
    file_id = provider.upload_bytes(content)
    cluster.fault("slow_download", bytes_per_second=len(content) * 4)
    began = time.monotonic()
    assert provider.api.files.content(file_id).content == content
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("fault", "state"), [("deploy_fail", "DEPLOY_FAILED"), ("deploy_partial", "PARTIALLY_DEPLOYED")]
)
def test_deployments_that_go_wrong(cluster: Cluster, fault: str, state: str) -> None:
    cluster.fault(fault)
    model_id = _registered(cluster)
    until(lambda: cluster.state(model_id), lambda found: found == state)
    cluster.undeploy(model_id)
    cluster.ok("POST", f"/models/{model_id}/_deploy")
    assert cluster.state(model_id) == "DEPLOYED"


def test_a_node_keeps_a_failed_deployment_until_the_model_is_undeployed(cluster: Cluster) -> None:
    """As 2.19.6 does, for good, when the master key is not read in time (tests/real/test_outage.py)."""
    cluster.fault("deploy_fail")
    model_id = _registered(cluster)
    until(lambda: cluster.state(model_id), lambda found: found == "DEPLOY_FAILED")
    again = cluster.ok("POST", f"/models/{model_id}/_deploy")
    assert "Duplicate deploy model task" in cluster.ok("GET", f"/tasks/{again['task_id']}")["error"]
    assert cluster.state(model_id) == "DEPLOY_FAILED"


def test_down(cluster: Cluster, provider: Provider) -> None:
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    cluster.fault("down", face="openai")
    with pytest.raises(openai.APIConnectionError):
        provider.api.models.list()
    status, _, reason = cluster.refused("GET", f"/tasks/{task_id}")
    assert status == 500
    assert reason.startswith(CLOSED)
    httpx.delete(f"{cluster.url}/_sandbox/faults", trust_env=False)
    assert provider.api.models.list().data
    cluster.fault("down", face="ml_commons", seconds=0.2)
    with pytest.raises(httpx.RemoteProtocolError):
        cluster.call("GET", f"/tasks/{task_id}")
    until(lambda: cluster.sandbox("faults") and _answers(cluster, task_id), bool)


def test_times_and_clearing(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("answer", path="^/v1/models$", status=500, body={}, times=2)
    cluster.fault("answer", path="^/v1/files$", status=500, body={}, times=-1)
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            provider.api.models.list()
    assert provider.api.models.list().data
    assert [fault["times"] for fault in cluster.sandbox("faults")] == [-1]


@pytest.mark.parametrize(
    "order",
    [{"fault": "nonsense"}, {"fault": "delay"}, {"fault": "reorder", "count": 1}, {"fault": "expire", "times": 0}],
)
def test_a_wrong_order_is_refused(cluster: Cluster, order: dict[str, Any]) -> None:
    status, answer = cluster.call("POST", "/_sandbox/faults", order)
    assert (status, list(answer)) == (400, ["error"])


def test_every_fault_has_its_parameters_named() -> None:
    assert len(KINDS) == 54


def _answers(cluster: Cluster, task_id: str) -> bool:
    try:
        return cluster.call("GET", f"/tasks/{task_id}")[0] == 200
    except httpx.TransportError:
        return False


def _registered(cluster: Cluster) -> str:
    body = {"name": "m", "function_name": "remote", "connector_id": cluster.connector()}
    return str(cluster.ok("POST", "/models/_register?deploy=true", body)["model_id"])
