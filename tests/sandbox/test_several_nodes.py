"""A cluster of several nodes: what one node does not take another one does, at once, and the log says so once."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MAX_REPEATS, MLCommonsHook
from opensearch_batch.errors import NotTaken
from tests.sandbox.bench import Run, Server, rows_of


def error(type_: str, reason: str, root: str = "") -> dict[str, Any]:
    return {"error": {"root_cause": [{"type": type_, "reason": root or reason}], "type": type_, "reason": reason}}


# Of a node of 2.19.6 without a copy of .plugins-ml-task, and of a node that has just joined.
NO_COPY = error(
    "search_phase_execution_exception",
    "all shards failed",
    "can not write type [class org.opensearch.ml.common.MLTaskState]",
)
NO_KEY = error("m_l_exception", "Fetching master key timed out.")
REPLICAS = 'PUT .plugins-ml-task/_settings {"index":{"auto_expand_replicas":"0-all"}}'


def submits(server: Server) -> int:
    return len([call for call in server.calls if call["path"].endswith("_batch_predict")])


@pytest.mark.parametrize("nodes_without_a_copy", [1, 28])
def test_a_submission_goes_round_the_nodes_until_one_takes_it(
    server: Server, run: Run, model_id: str, caplog: pytest.LogCaptureFixture, nodes_without_a_copy: int
) -> None:
    """Thirty nodes and two copies, at worst."""
    server.fault("answer", path="_batch_predict", status=400, body=NO_COPY, times=nodes_without_a_copy)
    bundles = run.prepare(rows_of(4), max_requests=2)
    jobs = run.submit(model_id, bundles)
    assert (len(jobs), len(server.ledger), submits(server)) == (2, 2, 2 + nodes_without_a_copy)
    assert caplog.text.count(REPLICAS) == 1
    assert len([file for file in server.uploads() if file["filename"].startswith("batch-")]) == 2


def test_a_cluster_that_never_takes_it_is_asked_no_more_than_so_often(server: Server, run: Run, model_id: str) -> None:
    server.fault("answer", path="_batch_predict", status=400, body=NO_COPY, times=-1)
    with pytest.raises(NotTaken) as caught:
        run.submit(model_id, run.prepare(rows_of(2)))
    assert REPLICAS in str(caught.value)
    assert (submits(server), server.ledger) == (1 + MAX_REPEATS, [])


def test_another_refusal_with_the_same_status_is_not_repeated(server: Server, run: Run, model_id: str) -> None:
    body = error("search_phase_execution_exception", "all shards failed", "too many clauses")
    server.fault("answer", path="_batch_predict", status=400, body=body, times=-1)
    with pytest.raises(AirflowFailException, match="too many clauses"):
        run.submit(model_id, run.prepare(rows_of(2)))
    assert submits(server) == 1


def test_a_node_without_its_master_key_is_asked_again(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    body = {
        "name": "c",
        "version": "1",
        "protocol": "http",
        "credential": {"key": "sk-not-a-secret"},
        "actions": [{"action_type": "predict", "method": "POST", "url": f"{server.url}/v1/embeddings"}],
    }
    server.fault("answer", path="connectors/_create", status=500, body=NO_KEY, times=3)
    assert MLCommonsHook().send(ml_commons.create_connector(body))
    assert len(server.found("connectors")) == 1
    assert caplog.text.count("asking again until a node takes it") == 1


def test_a_look_is_not_repeated_because_the_provider_can_be_asked(server: Server, run: Run, model_id: str) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=500, body=NO_KEY, times=-1)
    server.ask("DELETE", "/_sandbox/calls")
    (outcome,) = run.wait(jobs)
    assert outcome["state"] == "completed"
    assert len([call for call in server.calls if "/_plugins/_ml/tasks/" in call["path"]]) == 1


def test_a_read_is_repeated_as_a_call_that_was_not_taken(server: Server) -> None:
    """Not four times as often as that."""
    server.fault("answer", path="tasks/_search", status=500, body=NO_KEY, times=-1)
    with pytest.raises(NotTaken):
        MLCommonsHook().send(ml_commons.search_open_tasks())
    assert len([call for call in server.calls if call["path"].endswith("tasks/_search")]) == 1 + MAX_REPEATS
