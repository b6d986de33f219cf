"""One node of 2.19.6, killed as a crash kills it: with a job under way, and in the middle of a submission."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from opensearch_batch.errors import Unavailable
from stack.home import free_port
from stack.opensearch.node import Node
from tests.patience import eventually
from tests.real.by_hand import create_connector, register_model
from tests.real.cluster import ML
from tests.real.waiting import Waiting
from tests.sandbox.bench import Run, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from stack.stack import Stack
    from tests.real.by_hand import Use
    from tests.real.connections import Connections
    from tests.real.provider import Provider

AT_THE_PROVIDER_SECONDS = 3


@pytest.fixture
def node(homes: Path) -> Iterator[Node]:
    with Node("2.19.6", homes / "outage", free_port(), free_port()) as node:
        yield node


def kill(node: Node) -> None:
    assert node.part is not None
    node.part.kill()


@pytest.mark.usefixtures("corpus")
def test_a_run_outlives_its_cluster(airflow: Stack, node: Node, testnet: Provider, connections: Connections) -> None:
    connections.cluster(node.url)
    connections.provider(testnet.url)
    waiting = Waiting.begin(airflow, testnet)
    kill(node)
    waiting.is_seen_by("airflow")
    node.start()
    waiting.is_seen_by("cluster")
    kill(node)
    waiting.is_seen_by("airflow")
    waiting.finish()


def test_a_cluster_killed_while_the_provider_takes_the_job(node: Node, testnet: Provider, run: Run, use: Use) -> None:
    use(node.url)
    model_id = register_model(run, create_connector(run))
    bundles = run.prepare(rows_of(2))
    testnet.order("delay", method="POST", path="/v1/batches", seconds=AT_THE_PROVIDER_SECONDS)
    raised: list[BaseException] = []

    def submit() -> None:
        try:
            run.submit(model_id, bundles, settle_seconds=None)
        except BaseException as error:
            raised.append(error)

    submitting = threading.Thread(target=submit)
    submitting.start()
    eventually("the submission at the provider", lambda: testnet.calls("POST", "/v1/batches"))
    kill(node)
    submitting.join(60)
    # Whether the first try finds it already depends on who is quicker: the provider, or the cluster's end.
    assert {type(error) for error in raised} <= {Unavailable}
    eventually("the job", testnet.ledger)

    node.start()
    with node.client() as client:
        # Straight after a start the deployment often fails, and the node keeps the failed one as one under way.
        task_id = client.post(f"{ML}/models/{model_id}/_deploy").json()["task_id"]
        eventually("the end of the deployment", lambda: _has_ended(client, task_id))
        assert register_model(run, create_connector(run)) == model_id
        assert client.get(f"{ML}/models/{model_id}").json()["model_state"] == "DEPLOYED"
    [job] = run.submit(model_id, bundles, settle_seconds=None)
    assert [job["provider_job_id"]] == [billed["id"] for billed in testnet.ledger()]
    assert job["task_id"] is None
    [outcome] = run.wait([job])
    assert outcome["state"] == "completed"


def _has_ended(client: httpx.Client, task_id: str) -> bool:
    return client.get(f"{ML}/tasks/{task_id}").json()["state"] in ("COMPLETED", "FAILED")
