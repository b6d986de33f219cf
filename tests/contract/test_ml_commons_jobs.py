"""Batch jobs where only the sandbox can be asked: its own rule about targets, the limits of a version."""

from __future__ import annotations

from tests.contract.cluster import Cluster, connector, rows
from tests.contract.conftest import Provider


def test_a_target_that_is_not_loopback_is_refused_with_its_url(cluster: Cluster) -> None:
    model_id = cluster.model(
        str(cluster.ok("POST", "/connectors/_create", connector("https://api.openai.com"))["connector_id"])
    )
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    status, _, reason = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
    assert status == 400
    assert "loopback" in reason
    assert "https://api.openai.com/v1/batches" in reason


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
