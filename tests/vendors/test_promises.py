"""What is promised holds for every vendor: each row answered once, one job an input, whatever happens on the way."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from opensearch_batch import clean_provider
from opensearch_batch.errors import Unavailable
from opensearch_batch.providers.cohere import store as cohere_datasets
from opensearch_batch.tasks import wait_trigger
from stack.vendors import ask_for
from tests.sandbox.bench import ML, Server, first_event, rows_of
from tests.sandbox.test_admission import stored
from tests.vendors.test_replaced_key import trigger_of
from tests.vendors.vendors import Scene

ROWS = 250


def test_every_row_is_answered_once_by_the_model_that_answers_searches(scene: Scene, server: Server) -> None:
    report = scene.through([{"id": f"row {n}/ü", "text": f"text number {n}"} for n in range(ROWS)], max_requests=130)
    counted = {name: report[name] for name in ("records", "answered", "failed", "missing", "duplicates", "foreign")}
    assert counted == {"records": ROWS, "answered": ROWS, "failed": 0, "missing": 0, "duplicates": 0, "foreign": 0}
    results = scene.run.landed("results")
    assert set(results) == {f"row {n}/ü" for n in range(ROWS)}
    said = server.ask(
        "POST", f"{ML}/models/{scene.model_id}/_predict", {"parameters": ask_for(scene.vendor.name, "text number 7")}
    )
    online = said["inference_results"][0]["output"][0]["data"]
    assert results["row 7/ü"]["embedding"] == pytest.approx(online, abs=1e-6)
    assert results["row 8/ü"]["embedding"] != pytest.approx(online, abs=1e-6)
    assert len(scene.vendor.jobs(server)) == report["shards"]


def test_submitting_twice_is_one_job_an_input(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(ROWS), max_requests=130)
    jobs = scene.submit(bundles)
    assert scene.submit(bundles) == jobs
    scene.run.states.clear()
    found = scene.submit(bundles)
    assert [job["provider_job_id"] for job in found] == [job["provider_job_id"] for job in jobs]
    assert [job["task_id"] for job in found] == [job["task_id"] for job in jobs]
    assert len(scene.vendor.jobs(server)) == len(jobs) > 1


@pytest.mark.parametrize("lost_by", ["the provider", "the cluster"])
def test_a_lost_answer_is_found_again(scene: Scene, server: Server, lost_by: str) -> None:
    bundles = scene.ready(rows_of(120))
    server.fault("lost_answer", path=scene.vendor.create if lost_by == "the provider" else "_batch_predict")
    (job,) = scene.submit(bundles)
    assert (job["task_id"] is None) == (lost_by == "the provider")
    assert scene.report(scene.fetch(scene.wait([job])))["answered"] == 120
    assert len(scene.vendor.jobs(server)) == 1


def test_an_answer_that_comes_late_is_waited_for(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(120))
    server.fault("late_accept", path=scene.vendor.create, seconds=0.6)
    (job,) = scene.submit(bundles, settle_seconds=2.0, retries=3)
    assert scene.report(scene.fetch(scene.wait([job])))["answered"] == 120
    assert len(scene.vendor.jobs(server)) == 1


def test_all_jobs_that_have_ended_are_told_at_one_look(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of the vendor's may tell less of a job than the job's own document."""

    def pause(*_: object) -> float:
        raise AssertionError("a job that has ended is waited for")

    jobs = scene.submit(scene.ready(rows_of(500), max_requests=100))
    assert len(scene.wait(jobs)) == 5
    monkeypatch.setattr(wait_trigger, "pause_seconds", pause)
    event = first_event(trigger_of(scene, jobs))
    assert [each["state"] for each in event["outcomes"]] == ["completed"] * 5


def test_a_worker_killed_after_the_submit_finds_its_job(scene: Scene, server: Server) -> None:
    """The provider has the job, and nobody read the answer: the note says only that something was sent."""
    bundles = scene.ready(rows_of(120))
    jobs = scene.submit(bundles)
    (key,) = [key for key, note in scene.run.states["submit"].items() if note.get("job")]
    note = {name: value for name, value in scene.run.states["submit"][key].items() if name != "job"}
    scene.run.states["submit"].set(key, note | {"sent_at": 0.0})
    assert scene.submit(bundles) == jobs
    assert len(scene.vendor.jobs(server)) == 1


def test_a_cluster_that_cannot_look_is_left_for_the_provider(scene: Scene, server: Server) -> None:
    jobs = scene.submit(scene.ready(rows_of(120)))
    server.fault("answer", method="GET", path=f"{ML}/tasks/", status=400, body="has private ip address", times=-1)
    assert scene.report(scene.fetch(scene.wait(jobs)))["answered"] == 120


@pytest.mark.parametrize("cluster", ["answers", "is down"])
def test_a_job_is_cancelled_through_the_cluster_or_at_the_provider(scene: Scene, server: Server, cluster: str) -> None:
    from opensearch_batch.operators import CancelBatchOperator

    bundles = scene.ready(rows_of(120))
    server.pace("polls:2")  # slow enough for the looks of a submission
    jobs = scene.submit(bundles)
    server.pace("polls:1000")
    if cluster == "is down":
        server.fault("down", face="ml_commons")
    scene.run.execute(CancelBatchOperator(task_id="cancel", jobs=jobs, spec=scene.spec))
    server.no_more_faults()
    server.pace("instant")
    (outcome,) = scene.wait(jobs)
    assert outcome["state"] == "cancelled"


def test_no_secret_lies_where_it_can_be_read(scene: Scene, server: Server) -> None:
    scene.through(rows_of(120))
    shown = json.dumps([server.found("connectors"), server.found("tasks"), list(scene.run.xcoms.items())], default=str)
    assert "sandbox-secret-key" not in shown
    assert "sandbox-secret-key" not in (scene.run.out / "manifest.json").read_text()


def test_a_wrong_key_is_refused_before_anything_is_sent(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = scene.ready(rows_of(120))
    for name, value in scene.vendor.connections(server).items():
        wrong = json.loads(value) | {"password": scene.vendor.wrong_key}
        monkeypatch.setenv(name, json.dumps(wrong))
    with pytest.raises(AirflowFailException, match="HTTP 40[13]"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []


def test_a_key_that_only_the_cluster_has_wrong_is_told_as_the_connectors(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = scene.prepare(rows_of(120))
    right = scene.vendor.connections(server)
    for name, value in right.items():
        monkeypatch.setenv(name, json.dumps(json.loads(value) | {"password": scene.vendor.wrong_key}))
    scene.register()
    for name, value in right.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AirflowFailException, match="refused the connector's key"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []


def test_a_dead_provider_is_tried_again_and_paid_once(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(120))
    server.fault("answer", path=scene.vendor.create, status=503, body="busy")
    with pytest.raises(Unavailable):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []
    scene.submit(bundles)
    assert len(scene.vendor.jobs(server)) == 1


def test_a_limit_of_jobs_in_flight_holds_and_the_next_goes_when_one_has_ended(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohere_datasets, "PAUSE_SECONDS", 0.0)
    bundles = scene.ready(rows_of(240), max_requests=120, max_jobs_in_flight=1)
    server.pace("polls:40")
    submit = scene.submitting(bundles, pool="opensearch_batch_by_hand", poll_seconds=0.05)
    with pytest.raises(TaskDeferred):
        scene.run.execute(submit)
    with pytest.raises(TaskDeferred) as waits:  # a new process, which counts what the vendor lists
        scene.run.execute(submit)
    assert len(scene.vendor.jobs(server)) == 1
    server.pace("instant")
    jobs = submit.turn_came(scene.run.context(submit), first_event(stored(waits.value.trigger)))
    assert len(scene.vendor.jobs(server)) == len(jobs) == 2
    assert scene.report(scene.fetch(scene.wait(jobs)))["answered"] == 240


def test_what_has_landed_may_be_deleted_at_the_provider_and_nothing_else(
    scene: Scene, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.through(rows_of(120))
    other = scene.submit(scene.prepare(rows_of(130)), task_id="another")
    manifest = f"file://{scene.run.out}/manifest.json"
    assert clean_provider.main([manifest, "--keep-days", "0"]) == 0
    assert "2 files deleted" in capsys.readouterr().out
    assert clean_provider.main([manifest, "--keep-days", "0"]) == 0
    assert "0 files deleted" in capsys.readouterr().out
    assert scene.fetch(scene.wait(other), task_id="fetch_other")["landed"][0]["answered"] == 130
