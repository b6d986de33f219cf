"""Several nodes and the Security plugin, on order: what one node alone never answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.cluster import ML, Cluster, connector, rows
from tests.contract.conftest import Provider
from tests.patience import until

SUBMIT: dict[str, Any] = {"parameters": {"input_file_id": "file-unknown", "key": "k"}}


def test_every_third_submit_meets_a_node_without_the_task_index(cluster: Cluster, provider: Provider) -> None:
    model_id, file_id = cluster.model(), provider.upload(rows(1))
    cluster.fault("node_without_tasks", every=3, times=-1)
    body = {"parameters": {"input_file_id": file_id, "key": "k"}}
    answers = [cluster.call("POST", f"/models/{model_id}/_batch_predict", body) for _ in range(6)]
    assert [status for status, _ in answers] == [200, 200, 400, 200, 200, 400]
    error = answers[2][1]["error"]
    assert (error["type"], error["reason"]) == ("search_phase_execution_exception", "all shards failed")
    assert error["root_cause"][0]["reason"] == "can not write type [class org.opensearch.ml.common.MLTaskState]"
    assert len(cluster.sandbox("ledger")) == 4


def test_the_first_connector_of_a_fresh_cluster_waits_for_the_master_key(cluster: Cluster) -> None:
    cluster.fault("master_key_timeout")
    body = connector(cluster.url)
    refused = (500, "m_l_exception", "Fetching master key timed out.")
    assert cluster.refused("POST", "/connectors/_create", body) == refused
    assert cluster.ok("POST", "/connectors/_create", body)["connector_id"]


def test_a_restarted_node_waits_for_the_master_key_at_its_first_look(cluster: Cluster, provider: Provider) -> None:
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    cluster.fault("master_key_timeout", method="GET", path=f"^{ML}/tasks/")
    assert cluster.refused("GET", f"/tasks/{task_id}")[:2] == (500, "m_l_exception")
    assert cluster.ok("GET", f"/tasks/{task_id}")["task_type"] == "BATCH_PREDICTION"


def test_a_partly_deployed_model_serves_and_stays_so_until_it_is_deployed_again(
    cluster: Cluster, provider: Provider
) -> None:
    cluster.fault("deploy_partial")
    body = {"name": "m", "function_name": "remote", "connector_id": cluster.connector()}
    model_id = cluster.ok("POST", "/models/_register?deploy=true", body)["model_id"]
    until(lambda: cluster.state(model_id), lambda state: state == "PARTIALLY_DEPLOYED")
    assert cluster.submit(model_id, provider.upload(rows(1)))["status"] == "CREATED"
    model = cluster.ok("GET", f"/models/{model_id}")
    assert model["model_state"] == "PARTIALLY_DEPLOYED"
    assert (model["planning_worker_node_count"], model["current_worker_node_count"]) == (3, 2)
    cluster.ok("POST", f"/models/{model_id}/_deploy")
    assert cluster.state(model_id) == "DEPLOYED"


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("security_unauthorized", 401, "Unauthorized"),
        ("security_starting", 503, "OpenSearch Security not initialized."),
    ],
)
def test_the_security_plugin_answers_in_plain_text(cluster: Cluster, fault: str, status: int, text: str) -> None:
    cluster.fault(fault)
    response = httpx.get(f"{cluster.url}{ML}/tasks/any", trust_env=False)
    assert (response.status_code, response.text) == (status, text)
    assert response.headers["content-type"] == "text/plain; charset=UTF-8"
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert cluster.refused("GET", "/tasks/any") == (404, "status_exception", "Failed to find task")


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/", "cluster:monitor/main"),
        ("POST", "/models/m/_batch_predict", "cluster:admin/opensearch/ml/predict"),
        ("POST", "/tasks/t/_cancel", "cluster:admin/opensearch/ml/tasks/cancel"),
        ("POST", "/tasks/_search", "cluster:admin/opensearch/ml/tasks/search"),
        ("GET", "/connectors/c", "cluster:admin/opensearch/ml/connectors/get"),
        ("POST", "/models/_register", "cluster:admin/opensearch/ml/register_model"),
    ],
)
def test_a_user_without_the_permission(cluster: Cluster, method: str, path: str, permission: str) -> None:
    cluster.fault("security_forbidden")
    reason = f"no permissions for [{permission}] and User [name=sandbox, backend_roles=[], requestedTenant=null]"
    assert cluster.refused(method, path, SUBMIT) == (403, "security_exception", reason)


def test_another_teams_job_is_refused_for_good_and_the_provider_is_not_called(
    cluster: Cluster, provider: Provider
) -> None:
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    before = len(cluster.provider_calls())
    cluster.fault("security_not_your_job", times=-1)
    for _ in range(2):
        assert cluster.refused("GET", f"/tasks/{task_id}") == (
            500,
            "m_l_validation_exception",
            "You don't have permission to access this batch job",
        )
        assert cluster.refused("POST", f"/tasks/{task_id}/_cancel") == (
            500,
            "m_l_validation_exception",
            "You don't have permission to cancel this batch job",
        )
    assert len(cluster.provider_calls()) == before
    assert cluster.found("tasks", {"ids": {"values": [task_id]}}) == [task_id]


def test_every_is_counted_from_one(cluster: Cluster) -> None:
    status, answer = cluster.call("POST", "/_sandbox/faults", {"fault": "node_without_tasks", "every": 0})
    assert (status, list(answer)) == (400, ["error"])
