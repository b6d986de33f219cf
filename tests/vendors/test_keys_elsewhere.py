"""Keys beside the password of the connection in use: of the connector alone, and in an address. No text shows one."""

from __future__ import annotations

import json
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from opensearch_batch import scrubbing
from opensearch_batch.operators import CreateConnectorOperator, SubmitBatchOperator
from opensearch_batch.wait import refusals
from tests.sandbox.bench import Server, first_event, rebuilt, rows_of, sensor
from tests.vendors.test_echoed_keys import ALWAYS, OPENAI, PASSWORD, forms, kept, told_by
from tests.vendors.vendors import Scene, Vendor

OF_THE_CONNECTOR = 'sk-fake/OTHER+key="3"&<x>'


@pytest.fixture
def vendor() -> Vendor:
    return OPENAI


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task, and the triggerer, begins without knowing what others have read."""
    monkeypatch.setattr(scrubbing, "_memory", scrubbing.Memory())


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> DAG:
    """In which one task alone names the connection with the connector's key, by a template."""
    monkeypatch.setenv("AIRFLOW_CONN_KEY_OF_CONNECTOR", json.dumps({"conn_type": "http", "password": OF_THE_CONNECTOR}))
    made = DAG("by_hand", schedule=None)
    with made:
        CreateConnectorOperator(task_id="connector", credential_conn_id="key_of_{{ 'connector' }}")
    return made


def shown_of(key: str, text: str) -> list[str]:
    return [form for form in (key, key[::-1], quote(key, safe=""), json.dumps(key)[1:-1]) if form in text]


def test_a_task_knows_the_key_that_another_task_gave_to_the_cluster(
    scene: Scene, server: Server, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = scene.ready(rows_of(3))
    submit = SubmitBatchOperator(task_id="submit", spec=scene.spec, model_id=scene.model_id, shards=bundles, dag=dag)
    server.fault("echo_key", path="_batch_predict", key=OF_THE_CONNECTOR)
    another_process(monkeypatch)
    told = told_by(lambda: scene.run.execute(submit))
    assert "***" in told
    assert shown_of(OF_THE_CONNECTOR, told + kept(scene)) == []


def test_a_wait_knows_the_key_that_another_task_gave_to_the_cluster(
    scene: Scene, server: Server, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "STANDS_SECONDS", 0.0)
    server.pace("clock:600")
    wait = sensor(scene.submit(scene.ready(rows_of(3))), spec=scene.spec, dag=dag)
    with pytest.raises(TaskDeferred) as deferred:
        scene.run.execute(wait)
    server.fault("echo_key", path="^/(v1|_plugins)/", key=OF_THE_CONNECTOR, times=ALWAYS)
    another_process(monkeypatch)
    event: dict[str, Any] = first_event(rebuilt(deferred.value.trigger))
    assert "***" in event["error"]
    assert shown_of(OF_THE_CONNECTOR, event["error"] + json.dumps(event)) == []


@pytest.fixture
def password_in_host(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster's connection, whose only login is in its address."""
    host = server.url.replace("http://", f"http://batch_runner:{quote(PASSWORD, safe='')}@")
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps({"conn_type": "http", "host": host}))
    return host


def test_a_password_in_the_clusters_address_serves_and_never_shows(
    scene: Scene, server: Server, password_in_host: str, caplog: pytest.LogCaptureFixture
) -> None:
    bundles = scene.ready(rows_of(3))
    server.fault("echo_key", path="_batch_predict")
    told = told_by(lambda: scene.submit(bundles))
    assert "Basic ***" in told, "the call came with the login"
    report = scene.report(scene.fetch(scene.wait(scene.submit(bundles))))
    assert report["answered"] == 3
    everything = told + caplog.text + kept(scene)
    assert [form for form in [*forms(scene), quote(PASSWORD, safe="")] if form in everything] == []


def test_a_password_in_the_providers_address_is_refused_and_never_shows(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "fake-password-in-an-address"
    host = server.url.replace("http://", f"http://somebody:{key}@")
    bundles = scene.ready(rows_of(3))
    monkeypatch.setenv(
        "AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps({"conn_type": "openai", "host": host, "password": "k"})
    )
    with pytest.raises(AirflowFailException) as caught:
        scene.submit(bundles)
    told = "".join(traceback.format_exception(caught.value))
    assert "openai_default" in told
    assert key not in told + kept(scene)
