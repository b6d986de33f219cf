"""Servers that echo the keys they got, in every form: no text of ours shows one, wherever outside words enter."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import BatchError
from opensearch_batch.operators import CancelBatchOperator
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait import refusals
from sandbox.echoes import words
from tests.sandbox.bench import MODEL, Server, first_event, rows_of, sensor
from tests.vendors.vendors import BEDROCK, COHERE, KEYS, SAGEMAKER, Scene, Vendor

KEY = 'sk-fake/MARKED+key="1"&<x>'
PASSWORD = 'cluster/MARKED+password="2"&<x>'
ROWS = 120
ALWAYS = -1

OPENAI = Vendor(
    "openai",
    {"name": MODEL, "parameters": {"dimensions": 8}},
    lambda server: None,
    "/v1/batches$",
    "/v1/batches/",
    "/cancel",
    lambda server: {
        "AIRFLOW_CONN_OPENAI_DEFAULT": json.dumps({"conn_type": "openai", "host": f"{server.url}/v1", "password": KEY})
    },
)
ALL = (OPENAI, SAGEMAKER, BEDROCK, COHERE)


def key_of(vendor: Vendor) -> str:
    return KEYS["aws_secret_access_key"] if vendor in (SAGEMAKER, BEDROCK) else KEY


def forms(scene: Scene) -> list[str]:
    """What may be shown nowhere."""
    found = []
    for key in (key_of(scene.vendor), PASSWORD):
        in_base64 = base64.b64encode(key.encode()).decode()
        found += [key, key[::-1], quote(key, safe=""), in_base64, json.dumps(key)[1:-1], repr(key)[1:-1]]
    return [*found, base64.b64encode(f"batch_runner:{PASSWORD}".encode()).decode()]


def shown_in(scene: Scene, text: str) -> list[str]:
    return [form for form in forms(scene) if form in text]


def kept(scene: Scene) -> str:
    """All that a run has stored: XComs, the tasks' state and every file, those of the input too."""
    files = [path.read_text() for path in scene.run.folder.rglob("*") if path.is_file()]
    assert files
    return "\n".join(
        [*files, *(json.dumps(list(each.items()), default=str) for each in (scene.run.xcoms, scene.run.states))]
    )


def told_by(act: Callable[[], Any]) -> str:
    """The error of a task, its whole traceback included."""
    with pytest.raises((AirflowFailException, BatchError)) as caught:
        act()
    return "".join(traceback.format_exception(caught.value))


@pytest.fixture(params=ALL, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    found: Vendor = request.param
    host, port = server.url.removeprefix("http://").split(":")
    cluster = {"conn_type": "http", "schema": "http", "host": host, "port": int(port)}
    login = {"login": "batch_runner", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps({**cluster, **login}))
    made = {name: json.loads(value) for name, value in found.connections(server).items()}
    key = {"password": key_of(found)}
    return Vendor(
        **{**vars(found), "connections": lambda server: {name: json.dumps(v | key) for name, v in made.items()}}
    )


def echo(server: Server, scene: Scene, path: str, status: int = 400) -> None:
    """The key of the call is echoed; AWS and the cluster get none from a look, so they are told the vendor's."""
    server.fault("echo_key", path=path, status=status, key=key_of(scene.vendor), times=ALWAYS)


@pytest.mark.parametrize("status", [400, 401])
def test_no_error_of_a_task_shows_a_key(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    vendors, cluster = "^/(v1|aws)", "^/_plugins/"
    bundles = scene.prepare(rows_of(ROWS))
    told = []
    echo(server, scene, cluster, status)
    told.append(told_by(scene.register))
    server.no_more_faults()
    scene.register()
    for path in (cluster, vendors, scene.vendor.create):
        echo(server, scene, path, status)
        told.append(told_by(lambda: scene.submit(bundles, settle_seconds=0.1)))
        server.no_more_faults()
    jobs = scene.submit(bundles)
    echo(server, scene, f"{vendors}|{cluster}", status)
    told.append(told_by(lambda: scene.run.execute(CancelBatchOperator(task_id="stop", jobs=jobs, spec=scene.spec))))
    server.no_more_faults()
    outcomes = scene.wait(jobs)
    echo(server, scene, vendors, status)
    told.append(told_by(lambda: scene.fetch(outcomes)))
    assert [shown_in(scene, each) for each in told] == [[]] * 6
    assert all("***" in each for each in told), "the words were there"
    assert shown_in(scene, kept(scene)) == []


def test_no_event_of_a_trigger_shows_a_key(scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    jobs = scene.submit(scene.ready(rows_of(ROWS)))
    echo(server, scene, "")
    (connection,) = scene.vendor.connections(server)
    trigger = BatchTrigger(
        jobs=jobs,
        provider=scene.vendor.name,
        opensearch_conn_id="opensearch_default",
        provider_conn_id=connection.removeprefix("AIRFLOW_CONN_").lower(),
        poll_seconds=0.05,
        deadline=1e10,
    )
    event = first_event(trigger)
    assert "***" in event["error"]
    assert shown_in(scene, json.dumps(event) + event["error"]) == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_no_reason_of_a_job_shows_a_key(scene: Scene, server: Server, deferrable: bool) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault("fail_batch", code="invalid_request", message=f"{words(key_of(scene.vendor))} {words(PASSWORD)}")
    jobs = scene.submit(bundles)
    outcomes = scene.run.wait_out(sensor(jobs, spec=scene.spec, deferrable=deferrable))
    told = told_by(lambda: scene.report(scene.fetch(outcomes)))
    assert shown_in(scene, told + kept(scene)) == []
    assert ("***" in kept(scene)) == (scene.vendor.name != "cohere"), "its jobs have no reason"


@pytest.mark.parametrize("vendor", [OPENAI, BEDROCK], ids=lambda vendor: vendor.name, indirect=True)
@pytest.mark.parametrize("repair", [True, False])
def test_no_reason_of_a_row_shows_a_key(scene: Scene, server: Server, repair: bool) -> None:
    """Cohere's rows have none, and those of SageMaker have their job's."""
    bundles = scene.ready(rows_of(ROWS))
    told = f"{words(key_of(scene.vendor))} {words(PASSWORD)}"
    server.fault("fail_rows", count=2, message=told, code="server_error" if repair else "invalid_request")
    fetched = scene.fetch(scene.wait(scene.submit(bundles)), repair=repair, max_failed_fraction=1.0)
    assert shown_in(scene, str(fetched) + kept(scene)) == []
    assert "Incorrect key ***" in kept(scene)
