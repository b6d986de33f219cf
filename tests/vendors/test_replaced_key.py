"""A key that is replaced while a batch runs does not end the wait, for any vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import BatchError
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait import refusals, waiting
from tests.sandbox.bench import Server, first_event, rows_of, sensor
from tests.vendors.vendors import Scene


def only_the_provider_answers(server: Server) -> None:
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=500, body="away", times=-1)


def trigger_of(scene: Scene, jobs: Any) -> BatchTrigger:
    return BatchTrigger(
        jobs=jobs,
        provider=scene.vendor.name,
        opensearch_conn_id="opensearch_default",
        provider_conn_id="cohere_default" if scene.vendor.name == "cohere" else "aws_default",
        poll_seconds=0.05,
        deadline=1e10,
    )


def test_a_key_refused_for_a_few_looks_is_waited_for(scene: Scene, server: Server) -> None:
    jobs = scene.submit(scene.ready(rows_of(120)))
    only_the_provider_answers(server)
    server.fault("refuse_key", path=scene.vendor.look, times=3)
    event = first_event(trigger_of(scene, jobs))
    assert {each["state"] for each in event["outcomes"]} == {"completed"}


def test_the_connection_is_read_anew(scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = scene.submit(scene.ready(rows_of(120)))
    only_the_provider_answers(server)
    right = scene.vendor.connections(server)
    for name, value in right.items():
        monkeypatch.setenv(name, json.dumps(json.loads(value) | {"password": scene.vendor.wrong_key}))

    told: list[str] = []

    def replace(error: BatchError) -> str:
        """A person mends the connection after the first refusal."""
        told.append(str(error))
        for name, value in right.items():
            monkeypatch.setenv(name, value)
        return "refused"

    monkeypatch.setattr(waiting, "patience", replace)
    event = first_event(trigger_of(scene, jobs))
    assert {each["state"] for each in event["outcomes"]} == {"completed"}
    assert told


def test_a_refusal_that_stands_is_final(scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    jobs = scene.submit(scene.ready(rows_of(120)))
    only_the_provider_answers(server)
    server.fault("refuse_key", path=scene.vendor.look, times=-1)
    event = first_event(trigger_of(scene, jobs))
    assert event["terminal"] is True
    assert "HTTP 40" in event["error"]


def test_a_worker_that_looks_by_itself_waits_for_the_key_too(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = scene.submit(scene.ready(rows_of(120)))
    only_the_provider_answers(server)
    server.fault("refuse_key", path=scene.vendor.look, times=3)
    outcomes = scene.run.execute(sensor(jobs, spec=scene.spec, deferrable=False))
    assert {each["state"] for each in outcomes} == {"completed"}
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    server.fault("refuse_key", path=scene.vendor.look, times=-1)
    with pytest.raises(AirflowFailException, match="HTTP 40"):
        scene.run.execute(sensor(jobs, spec=scene.spec, deferrable=False, task_id="again"))
