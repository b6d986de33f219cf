"""Clusters whose settings are in the way: the error has the line that helps, and when it is pasted the call works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import TaskLimit, Unavailable
from tests.real.by_hand import create_connector, register_model
from tests.real.cluster import ML, Cluster
from tests.real.provider import KEY, Provider
from tests.sandbox.bench import Run, rows_of

if TYPE_CHECKING:
    from tests.real.by_hand import Use

SETTINGS = "PUT _cluster/settings "
LINE = re.compile(r"\b(PUT|POST) (_cluster/settings|/_plugins/_ml/\S*\w)")


@pytest.fixture(autouse=True)
def used(cluster: Cluster, use: Use) -> None:
    use(cluster.url)


@pytest.fixture
def model_id(run: Run, testnet: Provider) -> str:
    return register_model(run, create_connector(run))


@contextmanager
def changed(cluster: Cluster, **settings: Any) -> Iterator[None]:
    """Until the end, whatever was pasted in between; then the node's own settings hold again."""
    cluster.set(**settings)
    try:
        yield
    finally:
        cluster.set(**dict.fromkeys(settings))


def setting(name: str, value: Any) -> str:
    return SETTINGS + json.dumps({"persistent": {f"plugins.ml_commons.{name}": value}})


def paste(cluster: Cluster, message: str) -> list[str]:
    """Send each line of the message to the cluster as it stands there; return them."""
    pasted = []
    for found in LINE.finditer(message):
        method, path = found.groups()
        rest = message[found.end() :].lstrip()
        body, end = json.JSONDecoder().raw_decode(rest) if rest.startswith("{") else (None, 0)
        cluster.ok(method, f"/{path.removeprefix('/')}", body)
        pasted.append(f"{method} {path} {rest[:end]}".rstrip())
    return pasted


def test_remote_inference_switched_off(cluster: Cluster, run: Run, testnet: Provider) -> None:
    with changed(cluster, remote_inference__enabled=False):
        with pytest.raises(AirflowFailException) as raised:
            create_connector(run)
        assert paste(cluster, str(raised.value)) == [setting("remote_inference.enabled", True)]
        assert create_connector(run)


def test_batch_inference_switched_off(cluster: Cluster, run: Run, testnet: Provider, model_id: str) -> None:
    bundles = run.prepare(rows_of(2))
    with changed(cluster, offline_batch_inference_enabled=False):
        with pytest.raises(AirflowFailException) as raised:
            run.submit(model_id, bundles)
        assert testnet.ledger() == []
        assert paste(cluster, str(raised.value)) == [setting("offline_batch_inference_enabled", True)]
        assert len(run.submit(model_id, bundles)) == len(testnet.ledger()) == 1


def test_batch_inference_switched_off_during_the_wait(
    cluster: Cluster, run: Run, testnet: Provider, model_id: str
) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(2)))
    with changed(cluster, offline_batch_inference_enabled=False):
        [outcome] = run.wait(jobs)
    assert outcome["state"] == "completed"


def test_a_list_of_trusted_endpoints_without_the_provider(cluster: Cluster, run: Run, testnet: Provider) -> None:
    with changed(cluster, trusted_connector_endpoints_regex=[r"^https://elsewhere\.example/.*$"]):
        with pytest.raises(AirflowFailException) as raised:
            create_connector(run)
        pattern = "^" + testnet.url.replace(".", r"\.") + "/.*$"
        assert paste(cluster, str(raised.value)) == [setting("trusted_connector_endpoints_regex", [pattern])]
        assert create_connector(run)


def test_trust_taken_away_after_the_model_was_deployed(
    cluster: Cluster, run: Run, testnet: Provider, model_id: str
) -> None:
    """Trust is looked at when a connector is made, not when it is used."""
    with changed(cluster, trusted_connector_endpoints_regex=[r"^https://elsewhere\.example/.*$"]):
        assert len(run.submit(model_id, run.prepare(rows_of(2)))) == len(testnet.ledger()) == 1


def test_a_provider_on_a_private_address(
    cluster: Cluster, run: Run, use: Use, providers: dict[str, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    private = on_loopback(providers, monkeypatch)
    bundles = run.prepare(rows_of(2))
    with changed(cluster, connector__private_ip_enabled=False):
        with pytest.raises(AirflowFailException, match="has private ip address") as raised:
            run.submit(register_model(run, create_connector(run)), bundles)
        assert paste(cluster, str(raised.value))[0] == setting("connector.private_ip_enabled", True)
        model_id = register_model(run, create_connector(run))
        [job] = run.submit(model_id, bundles)
        assert [job["provider_job_id"]] == [billed["id"] for billed in private.ledger()]


def test_a_model_that_is_not_deployed_and_may_not_deploy_itself(
    cluster: Cluster, run: Run, testnet: Provider, model_id: str
) -> None:
    bundles = run.prepare(rows_of(2))
    with changed(cluster, model_auto_deploy__enable=False):
        cluster.ok("POST", f"{ML}/models/{model_id}/_undeploy")
        with pytest.raises(AirflowFailException) as raised:
            run.submit(model_id, bundles)
        assert testnet.ledger() == []
        deploy, switch = paste(cluster, str(raised.value))
        assert deploy == f"POST {ML}/models/{model_id}/_deploy"
        assert switch == setting("model_auto_deploy.enable", True)
        assert len(run.submit(model_id, bundles)) == len(testnet.ledger()) == 1


def test_a_model_that_is_disabled(cluster: Cluster, run: Run, testnet: Provider, model_id: str) -> None:
    bundles = run.prepare(rows_of(2))
    cluster.ok("PUT", f"{ML}/models/{model_id}", {"is_enabled": False})
    with pytest.raises(AirflowFailException) as raised:
        run.submit(model_id, bundles)
    assert testnet.ledger() == []
    assert paste(cluster, str(raised.value)) == [f'PUT {ML}/models/{model_id} {{"is_enabled": true}}']
    assert len(run.submit(model_id, bundles)) == len(testnet.ledger()) == 1


def test_no_node_may_run_remote_models(cluster: Cluster, run: Run, testnet: Provider) -> None:
    connector_id = create_connector(run)
    register_model(run, connector_id, deploy=False)
    with changed(cluster, task_dispatcher__eligible_node_role__remote_model=["ml"]):
        with pytest.raises(Unavailable) as raised:
            register_model(run, connector_id)
        assert paste(cluster, str(raised.value)) == [
            setting("task_dispatcher.eligible_node_role.remote_model", ["data", "ml"])
        ]
        assert register_model(run, connector_id)


def on_loopback(providers: dict[str, Provider], monkeypatch: pytest.MonkeyPatch) -> Provider:
    """As new, at an address whose jobs no cluster looks at."""
    provider = providers["loopback"]
    provider.reset()
    connection = {"conn_type": "openai", "host": f"{provider.url}/v1", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(connection))
    return provider


@pytest.fixture
def nothing_counted(cluster: Cluster) -> None:
    """Tasks of jobs that no cluster can look at are counted for ever, and only their documents can be deleted."""
    body = {"query": {"term": {"task_type": "BATCH_PREDICTION"}}}
    cluster.ok("POST", "/.plugins-ml-task/_delete_by_query?refresh=true&ignore_unavailable=true", body)


@pytest.mark.usefixtures("nothing_counted")
def test_at_the_task_limit_a_job_that_has_ended_gives_its_place_back(
    cluster: Cluster, run: Run, testnet: Provider, model_id: str
) -> None:
    with changed(cluster, max_batch_inference_tasks=1):
        run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
        run.submit(model_id, run.prepare(rows_of(2)), task_id="second")
    assert len(testnet.ledger()) == 2


@pytest.mark.usefixtures("nothing_counted")
def test_at_the_task_limit_with_a_job_that_the_cluster_cannot_look_at(
    cluster: Cluster, run: Run, providers: dict[str, Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    private = on_loopback(providers, monkeypatch)
    model_id = register_model(run, create_connector(run))
    with changed(cluster, max_batch_inference_tasks=1):
        [first] = run.submit(model_id, run.prepare(rows_of(1)), task_id="first")
        bundles = run.prepare(rows_of(2))
        with pytest.raises(TaskLimit) as raised:
            run.submit(model_id, bundles, task_id="second")
        counted = f"task {first['task_id']} (job {first['provider_job_id']}, completed)"
        assert f"Ended at the provider, but counted until the cluster sees it: {counted}" in str(raised.value)
        assert len(private.ledger()) == 1
        assert paste(cluster, str(raised.value)) == [setting("max_batch_inference_tasks", 100)]
        assert run.submit(model_id, bundles, task_id="second")
    assert len(private.ledger()) == 2
