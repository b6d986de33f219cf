"""Three nodes of 2.19.6. Its task index has two copies, and a submission that comes to the third node is refused."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from stack.opensearch.cluster import OpenSearchCluster
from stack.run import DagRun
from stack.search import local_path
from tests.real.by_hand import create_connector, register_model, statuses
from tests.real.cluster import ML, Cluster
from tests.real.runs import ids
from tests.real.waiting import Waiting
from tests.sandbox.bench import Run, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stack.stack import Stack
    from tests.real.by_hand import Use
    from tests.real.connections import Connections
    from tests.real.provider import Provider

NO_COPY = "can not write type [class org.opensearch.ml.common.MLTaskState]"
REPLICAS = 'PUT .plugins-ml-task/_settings {"index":{"auto_expand_replicas":"0-all"}}'
KEY_INDEX = ".plugins-ml-config"
SHARDS = 12
CONNECTED, ANOTHER = 0, 2


@pytest.fixture(scope="module")
def servers(homes: Path) -> Iterator[OpenSearchCluster]:
    with OpenSearchCluster("2.19.6", homes / "three", 3) as started:
        yield started


@pytest.fixture
def three(servers: OpenSearchCluster) -> Iterator[Cluster]:
    """Through the node that the connection names. Put in order before a test: nodes that come back deploy anew."""
    servers.restore()
    node = servers.nodes[CONNECTED]
    with node.client() as client:
        cluster = Cluster(node, client)
        cluster.forget()
        yield cluster


@pytest.fixture
def connected(three: Cluster, testnet: Provider, connections: Connections) -> None:
    connections.cluster(three.url)
    connections.provider(testnet.url)


@pytest.mark.usefixtures("connected")
def test_the_demo_job(airflow: Stack, three: Cluster, testnet: Provider, corpus: Path) -> None:
    run = DagRun.trigger(airflow, "embed_stdlib_docs")
    assert run.wait() == "success"

    report = run.xcom("report")
    assert len(report["jobs"]) == len(testnet.ledger()) == 3
    assert (report["answered"], report["failed"], report["missing"]) == (report["records"], 0, 0)
    landed = [row for uri in report["results"] for row in ids(local_path(uri))]
    assert sorted(landed) == sorted(ids(corpus))
    assert {task["task_id"]: task["try_number"] for task in run.tasks() if task["try_number"] > 1} == {}
    submits = [run.log(task, lines=1000) for task in run.tasks() if task["task_id"] == "shard.submit_batch"]
    assert all("\n".join(lines).count(REPLICAS) <= 1 for lines in submits)
    for job in report["jobs"]:
        assert three.stored_task(job["task_id"])["state"] == "COMPLETED"


def test_what_a_node_without_a_copy_refuses_is_sent_again_at_once(
    three: Cluster, testnet: Provider, run: Run, use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    use(three.url)
    model_id = register_model(run, create_connector(run))
    bundles = run.prepare(rows_of(SHARDS), max_requests=1)
    began = time.monotonic()
    with caplog.at_level(logging.DEBUG):
        jobs = run.submit(model_id, bundles, settle_seconds=None)

    answers = statuses(caplog.text, f"{model_id}/_batch_predict")
    assert (answers.count(200), answers.count(400)) == (SHARDS, len(answers) - SHARDS)
    assert answers.count(400) >= SHARDS // 3
    assert len(testnet.ledger()) == SHARDS
    assert {job["provider_job_id"] for job in jobs} == {job["id"] for job in testnet.ledger()}
    told = [record.getMessage() for record in caplog.records if NO_COPY in record.getMessage()]
    assert len(told) == 1
    assert REPLICAS in told[0]
    assert time.monotonic() - began < 60

    report = run.fetch(run.wait(jobs))["report"]
    assert (report["answered"], report["failed"], report["missing"]) == (SHARDS, 0, 0)


def test_the_line_in_the_log_ends_the_refusals(
    three: Cluster, testnet: Provider, run: Run, use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    use(three.url)
    model_id = register_model(run, create_connector(run))
    method, path, body = REPLICAS.split(" ", 2)
    answer = three.client.request(method, f"/{path}", content=body, headers={"Content-Type": "application/json"})
    assert answer.is_success, answer.text
    three.ok("GET", "/_cluster/health/.plugins-ml-task?wait_for_status=green&timeout=30s")
    with caplog.at_level(logging.DEBUG):
        run.submit(model_id, run.prepare(rows_of(SHARDS), max_requests=1))
    assert statuses(caplog.text, f"{model_id}/_batch_predict") == [200] * SHARDS
    three.ok("PUT", "/.plugins-ml-task/_settings", {"index": {"auto_expand_replicas": "0-1"}})
    assert len(testnet.ledger()) == SHARDS


def test_a_model_that_one_node_could_not_load_serves_all_the_same(
    three: Cluster, servers: OpenSearchCluster, testnet: Provider, run: Run, use: Use
) -> None:
    """A new node reads the master key before it can decrypt a connector's credential, and this one may not."""
    use(three.url)
    servers.kill(ANOTHER)
    servers.restore()
    three.ok("PUT", f"/{KEY_INDEX}/_settings", {"index": {"blocks.read": True}})
    try:
        connector_id = create_connector(run)
        model_id = register_model(run, connector_id)
    finally:
        three.ok("PUT", f"/{KEY_INDEX}/_settings", {"index": {"blocks.read": None}})
    assert three.ok("GET", f"{ML}/models/{model_id}")["model_state"] == "PARTIALLY_DEPLOYED"
    jobs = run.submit(model_id, run.prepare(rows_of(3), max_requests=1))
    assert len(jobs) == len(testnet.ledger()) == 3


@pytest.mark.usefixtures("connected", "corpus")
def test_nodes_killed_during_the_wait(airflow: Stack, servers: OpenSearchCluster, testnet: Provider) -> None:
    """First another one, then the one that the connection names: two of three, so that nothing is left to ask."""
    waiting = Waiting.begin(airflow, testnet)
    servers.kill(ANOTHER)
    waiting.is_seen_by("cluster")
    servers.kill(CONNECTED)
    waiting.is_seen_by("airflow")
    waiting.finish()
