"""The demo's DAG, spec and connections on real servers: connector, model, batches, wait, results, report, cancel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack import namespace
from stack.run import DagRun
from stack.search import local_path
from tests.patience import eventually
from tests.real.runs import ids, logs, state_of

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.real.cluster import Cluster
    from tests.real.connections import Connections
    from tests.real.provider import Provider

MADE = ("connectors", "models", "model_groups")
CANNOT_SEE = "The cluster cannot see this job: it is followed at the provider."


@pytest.fixture
def connected(cluster: Cluster, provider: Provider, connections: Connections) -> None:
    connections.cluster(cluster.url)
    connections.provider(provider.url)


def is_public(provider: Provider) -> bool:
    """Whether a cluster reads and cancels jobs there."""
    return namespace.ADDRESS in provider.url


@pytest.mark.usefixtures("connected")
def test_the_demo_job(airflow: Stack, cluster: Cluster, provider: Provider, corpus: Path) -> None:
    run = DagRun.trigger(airflow, "embed_stdlib_docs")
    assert run.wait() == "success"

    report = run.xcom("report")
    assert len(report["jobs"]) == len(provider.ledger()) == 3
    assert (report["answered"], report["failed"], report["missing"]) == (report["records"], 0, 0)
    landed = [row for uri in report["results"] for row in ids(local_path(uri))]
    assert sorted(landed) == sorted(ids(corpus))
    for job in report["jobs"]:
        task = cluster.stored_task(job["task_id"])
        assert task["remote_job"]["id"] == job["provider_job_id"]
        looks = provider.calls("GET", f"/v1/batches/{job['provider_job_id']}")
        if is_public(provider):
            assert task["state"] == "COMPLETED"
            assert "cluster" in looks
        else:
            assert task["state"] in ("CREATED", "RUNNING")
            assert set(looks) == {"airflow"}
    if is_public(provider):
        again = DagRun.trigger(airflow, "batch_inference", {"spec": "embed_stdlib_docs", "rows": 20})
        assert again.wait() == "success"
        assert {kind: len(cluster.hits(kind)) for kind in MADE} == dict.fromkeys(MADE, 1), "as the first run made them"


@pytest.mark.usefixtures("connected", "corpus")
def test_a_wait_marked_failed_cancels_the_job(airflow: Stack, provider: Provider) -> None:
    provider.pace("clock:600")
    run = DagRun.trigger(airflow, "batch_inference", {"spec": "embed_stdlib_docs", "rows": 20})
    wait = "shard.wait_for_batch"
    eventually("deferred", lambda: state_of(run, wait) == "deferred", run.progress)
    [job] = run.xcom("shard.submit_batch", map_index=0)
    path = f"/v1/batches/{job['provider_job_id']}"
    looks = len(provider.calls("GET", path))
    eventually("two looks from the triggerer", lambda: len(provider.calls("GET", path)) > looks + 1)
    if not is_public(provider):
        eventually("said in its log", lambda: CANNOT_SEE in logs(run, wait))
    assert logs(run, wait).count(CANNOT_SEE) == (not is_public(provider)), "once, however often it was looked at"

    airflow.api("PATCH", f"{run.path}/taskInstances/{wait}/0", {"new_state": "failed"})

    eventually("cancelled", lambda: provider.job(job["provider_job_id"])["status"] in ("cancelling", "cancelled"))
    by = "cluster" if is_public(provider) else "airflow"
    assert provider.calls("POST", f"{path}/cancel") == [by]
    assert run.wait() == "failed"
