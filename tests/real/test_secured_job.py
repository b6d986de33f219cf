"""The demo's job on a secured cluster: the setup user prepares it, the runner with the least role runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stack.run import DagRun
from stack.search import local_path
from tests.patience import eventually
from tests.real.runs import ids, state_of
from tests.real.secured import RUNNER, Secured

if TYPE_CHECKING:
    from pathlib import Path

    from stack.stack import Stack
    from tests.real.connections import Connections
    from tests.real.provider import Provider


@pytest.fixture
def as_runner(secured: Secured, testnet: Provider, connections: Connections) -> None:
    connections.cluster(secured.node.url, RUNNER.login, verify=str(secured.node.ca))
    connections.provider(testnet.url)


@pytest.mark.usefixtures("as_runner")
def test_the_demo_job(airflow: Stack, secured: Secured, model_id: str, testnet: Provider, corpus: Path) -> None:
    run = DagRun.trigger(airflow, "embed_stdlib_docs")
    assert run.wait() == "success"

    report = run.xcom("report")
    assert len(report["jobs"]) == len(testnet.ledger()) == 3
    assert (report["answered"], report["failed"], report["missing"]) == (report["records"], 0, 0)
    landed = [row for uri in report["results"] for row in ids(local_path(uri))]
    assert sorted(landed) == sorted(ids(corpus))
    for job in report["jobs"]:
        assert job["model_id"] == model_id
        assert secured.cluster.stored_task(job["task_id"])["state"] == "COMPLETED"
        assert set(testnet.calls("GET", f"/v1/batches/{job['provider_job_id']}")) == {"cluster"}


@pytest.mark.usefixtures("as_runner", "corpus", "model_id")
def test_a_wait_marked_failed_cancels_the_job(airflow: Stack, testnet: Provider) -> None:
    testnet.pace("clock:600")
    run = DagRun.trigger(airflow, "batch_inference", {"spec": "embed_stdlib_docs", "rows": 20})
    wait = "shard.wait_for_batch"
    eventually("deferred", lambda: state_of(run, wait) == "deferred", run.progress)
    [job] = run.xcom("shard.submit_batch", map_index=0)
    path = f"/v1/batches/{job['provider_job_id']}"
    looks = len(testnet.calls("GET", path))
    eventually("a look from the triggerer", lambda: len(testnet.calls("GET", path)) > looks)

    airflow.api("PATCH", f"{run.path}/taskInstances/{wait}/0", {"new_state": "failed"})

    eventually("cancelled", lambda: testnet.job(job["provider_job_id"])["status"] in ("cancelling", "cancelled"))
    assert testnet.calls("POST", f"{path}/cancel") == ["cluster"]
    assert run.wait() == "failed"
