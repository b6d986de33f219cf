"""The other vendors' jobs through real servers: connector, batch, status and cancel of each, and the rows that come."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.errors import BatchError
from opensearch_batch.operators import CancelBatchOperator
from opensearch_batch.providers.cohere import provider as cohere
from stack import namespace
from stack.vendors import ask_for
from tests.sandbox.bench import ML, Server, rows_of
from tests.vendors.vendors import COHERE, VENDORS, Scene, Vendor, make_scene

if TYPE_CHECKING:
    from tests.real.by_hand import Use
    from tests.real.cluster import Cluster
    from tests.real.provider import Provider
    from tests.sandbox.bench import Run

ROWS = 120


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def scene(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    provider: Provider,
    use: Use,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    vendor: Vendor = request.param
    use(cluster.url)
    run.run_id = f"manual__{uuid4()}"  # a cluster keeps tasks, and jobs are named after run and rows
    return make_scene(vendor, Server(provider.url), run, monkeypatch)


def of_the_cluster(scene: Scene, path: str) -> int:
    """Calls to such a path that no SDK made: those say who they are, a cluster does not."""
    calls = [call for call in scene.server.calls if path in call["path"]]
    return sum("user-agent" not in call["headers"] for call in calls)


def is_seen(scene: Scene, cluster: Cluster) -> bool:
    """Whether this cluster reads and cancels the vendor's jobs itself. Else they are followed at the provider."""
    unasked = cluster.node.version == "2.19.6" and scene.vendor is not COHERE
    return unasked or namespace.ADDRESS in scene.server.url


def test_a_run(scene: Scene, cluster: Cluster) -> None:
    bundles = scene.ready([{"id": f"row {n}/ü", "text": f"text number {n}"} for n in range(ROWS)])
    (job,) = scene.submit(bundles)
    before = cluster.stored_task(job["task_id"])
    assert (before["state"], before["remote_job"]["dlq"]) == ("RUNNING", None)
    report = scene.report(scene.fetch(scene.wait([job])))
    assert (report["answered"], report["failed"], report["missing"]) == (ROWS, 0, 0)
    assert len(scene.vendor.jobs(scene.server)) == 1
    looked = of_the_cluster(scene, scene.vendor.look)
    assert (looked > 0, cluster.stored_task(job["task_id"])["state"]) == (
        (True, "COMPLETED") if is_seen(scene, cluster) else (False, "RUNNING")
    )
    asked = ask_for(scene.vendor.name, "text number 7")
    said = cluster.ok("POST", f"{ML}/models/{scene.model_id}/_predict", {"parameters": asked})
    online = said["inference_results"][0]["output"][0]["data"]
    assert scene.run.landed("results")["row 7/ü"]["embedding"] == pytest.approx(online, abs=1e-6)


def test_a_cancel(scene: Scene, cluster: Cluster) -> None:
    jobs = scene.submit(scene.ready(rows_of(ROWS)))
    scene.server.pace("polls:1000")
    scene.run.execute(CancelBatchOperator(task_id="cancel", jobs=jobs, spec=scene.spec))
    assert (of_the_cluster(scene, scene.vendor.stop) > 0) == is_seen(scene, cluster)
    scene.server.pace("instant")
    (outcome,) = scene.wait(jobs)
    assert outcome["state"] == "cancelled"
    if is_seen(scene, cluster):
        assert cluster.stored_task(jobs[0]["task_id"])["state"] == "CANCELLED"


def test_a_lost_answer(scene: Scene, cluster: Cluster) -> None:
    bundles = scene.ready(rows_of(ROWS))
    scene.server.fault("lost_answer", path=scene.vendor.create)
    (job,) = scene.submit(bundles)
    assert job["task_id"] is None
    assert scene.report(scene.fetch(scene.wait([job])))["answered"] == ROWS
    assert len(scene.vendor.jobs(scene.server)) == 1


@pytest.mark.parametrize("provider", ["testnet"], indirect=True)
@pytest.mark.parametrize("asks_for", ["${parameters.id}", "b1"])
def test_v2_batches_cannot_be_followed(
    cluster: Cluster, provider: Provider, use: Use, run: Run, monkeypatch: pytest.MonkeyPatch, asks_for: str
) -> None:
    """Why Cohere's embed jobs are used: the batch stands below a key of its own, and so does its status."""
    use(cluster.url)
    scene = make_scene(COHERE, Server(provider.url), run, monkeypatch)
    ended = {"batch": {"id": "b1", "status": "BATCH_STATUS_COMPLETED"}}
    scene.server.fault("answer", path="/v2/batches", status=200, body=ended, times=-1)
    body = cohere.connector("v2", "embed-v4.0", "/v1/embed", {}, provider.url)
    for action in body["actions"][1:]:
        action["url"] = f"{provider.url}/v2/batches"
    body["actions"][2]["url"] += f"/{asks_for}"
    monkeypatch.setattr(cohere, "connector", lambda *arguments: body)
    bundles = scene.ready(rows_of(2))
    send = MLCommonsHook().send
    task_id = send(ml_commons.batch_predict(scene.model_id, {"dataset_id": bundles[0][0]["sha256"]}))["task_id"]
    if asks_for == "b1":
        task = send(ml_commons.get_task(task_id))
        assert (task["state"], task["remote_job"]["batch"]) == ("RUNNING", ended["batch"])
    else:
        with pytest.raises(BatchError):
            send(ml_commons.get_task(task_id))
