"""Wrong connections, a cluster or a provider that is down or refuses: what is said; nothing is sent or lost."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import BatchError, Throttled, Unavailable
from opensearch_batch.operators import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.tasks.errors import RetryAfter
from tests.sandbox.bench import KEY, Run, Server, rows_of
from tests.sandbox.test_registration import DOCS_PAGE

NO_HANDLER = {"error": "no handler found for uri [/_plugins/_ml/connectors/_search] and method [POST]"}
LOOPBACK = {"conn_type": "http", "schema": "http", "host": "127.0.0.1"}
Set = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Set:
    return lambda name, values: monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def create(run: Run, **settings: Any) -> Any:
    return run.execute(
        CreateConnectorOperator(task_id="connector", body=DOCS_PAGE, base_url_from="openai_default", **settings)
    )


def refusal(reason: str, type_: str = "status_exception") -> dict[str, Any]:
    return {"error": {"root_cause": [{"type": type_, "reason": reason}], "type": type_, "reason": reason}}


@dataclass(frozen=True)
class Trouble:
    """What the cluster does instead of answering, the error of a task that meets it, and parts of its message."""

    name: str
    fault: dict[str, Any]
    error: type[Exception]
    says: tuple[str, ...]


CLUSTER = [
    Trouble(
        "down", {"fault": "down", "face": "ml_commons"}, Unavailable, ("no answer from the cluster", "host right?"),
    ),
    Trouble(
        "401", {"fault": "answer", "status": 401, "body": "Unauthorized"}, AirflowFailException,
        ("Refused:", "HTTP 401", "Unauthorized", "check the connection's user and password"),
    ),
    Trouble(
        "403",
        {"fault": "answer", "status": 403, "body": refusal("no permissions for [x] and User [name=reader]")},
        AirflowFailException, ("Refused:", "HTTP 403", "no permissions for [x]", 'in roles.yml: "- x"'),
    ),
    Trouble("429", {"fault": "answer", "status": 429, "body": "slow down"}, Throttled, ("HTTP 429", "slow down")),
    Trouble(
        "no ML Commons", {"fault": "answer", "status": 400, "body": NO_HANDLER}, AirflowFailException,
        ("NoRoute:", "no handler found", "has no ML Commons plugin", "GET _cat/plugins"),
    ),
    Trouble(
        "master key", {"fault": "answer", "status": 500, "body": refusal("Fetching master key timed out.")},
        Unavailable, ("HTTP 500", "Fetching master key timed out"),
    ),
    Trouble(
        "a proxy's page", {"fault": "answer", "status": 200, "body": "<html>login</html>"}, Unavailable,
        ("HTTP 200 with an answer that is not ML Commons'",),
    ),
]  # fmt: skip


@pytest.mark.parametrize("trouble", CLUSTER, ids=lambda trouble: trouble.name)
def test_the_cluster_in_trouble_while_a_connector_is_made(server: Server, run: Run, trouble: Trouble) -> None:
    at = {} if trouble.fault["fault"] == "down" else {"path": "/_plugins/"}
    server.ask("POST", "/_sandbox/faults", {**trouble.fault, **at, "times": -1})
    with pytest.raises(trouble.error) as caught:
        create(run)
    assert all(part in str(caught.value) for part in trouble.says), str(caught.value)
    assert KEY not in str(caught.value)
    server.no_more_faults()
    assert server.found("connectors") == []
    assert create(run), "and a later try succeeds"


@pytest.mark.parametrize("trouble", CLUSTER, ids=lambda trouble: trouble.name)
def test_the_cluster_in_trouble_while_a_batch_is_submitted(
    server: Server, run: Run, model_id: str, trouble: Trouble
) -> None:
    bundles = run.prepare(rows_of(3))
    at = {} if trouble.fault["fault"] == "down" else {"path": "_batch_predict"}
    server.ask("POST", "/_sandbox/faults", {**trouble.fault, **at, "times": -1})
    with pytest.raises((trouble.error, Unavailable)) as caught:
        run.submit(model_id, bundles)
    assert all(part in str(caught.value) for part in trouble.says), str(caught.value)
    assert KEY not in str(caught.value)
    assert server.ledger == []
    server.no_more_faults()
    report = run.fetch(run.wait(run.submit(model_id, bundles)))["report"]
    inputs = [entry for entry in server.uploads() if entry["filename"].startswith("batch-")]
    assert (report["answered"], len(server.ledger), len(inputs)) == (3, 1, 1)


def test_a_cluster_that_is_not_there(server: Server, run: Run, connect: Set, closed_port: int) -> None:
    connect("opensearch_default", LOOPBACK | {"port": closed_port})
    with pytest.raises(Unavailable, match=r"no answer from the cluster .*refused.*Is it up, and the connection's host"):
        create(run)
    with pytest.raises(Unavailable, match="no answer from the cluster"):
        run.submit("model", run.prepare(rows_of(1)))
    assert server.ledger == []


def test_a_passing_blip_while_reading_is_not_even_noticed(server: Server, run: Run) -> None:
    server.fault("answer", path="connectors/_search", status=503, body="busy", times=3)
    assert create(run)


@pytest.mark.parametrize("conn_id", ["opensearch_default", "openai_default"])
def test_a_missing_connection_is_named_and_not_retried(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, conn_id: str
) -> None:
    bundles = run.prepare(rows_of(1))
    monkeypatch.delenv(f"AIRFLOW_CONN_{conn_id.upper()}")
    with pytest.raises(AirflowFailException, match=conn_id):
        create(run)
    with pytest.raises(AirflowFailException, match=conn_id):
        run.submit("model", bundles)
    assert server.ledger == []


def test_a_provider_connection_without_its_key(server: Server, run: Run, connect: Set) -> None:
    bundles, before = run.prepare(rows_of(1)), server.calls
    connect("openai_default", {"conn_type": "openai", "host": f"{server.url}/v1"})
    with pytest.raises(AirflowFailException, match=r"connection 'openai_default' lacks the provider's key"):
        create(run)
    with pytest.raises(AirflowFailException, match=r"connection 'openai_default' has no password; put the provider"):
        run.submit("model", bundles)
    assert server.calls == before


def test_a_cluster_connection_without_a_host(server: Server, run: Run, connect: Set) -> None:
    connect("opensearch_default", {"conn_type": "http"})
    with pytest.raises((AirflowFailException, BatchError), match="host"):
        create(run)


def test_a_password_does_not_travel_over_plain_http_to_another_machine(server: Server, run: Run, connect: Set) -> None:
    connect("opensearch_default", LOOPBACK | {"host": "198.51.100.1", "port": 9200, "login": "u", "password": "p"})
    with pytest.raises(AirflowFailException, match=r"plain http, and a password or key would travel.*allow_plain_http"):
        create(run)


def test_a_wrong_key_for_the_providers_files(server: Server, run: Run, model_id: str, connect: Set) -> None:
    bundles = run.prepare(rows_of(1))
    connect("openai_default", {"conn_type": "openai", "host": f"{server.url}/v1", "password": "sk-wrong-file-key-9"})
    with pytest.raises(AirflowFailException, match=r"HTTP 401.*Check the key in the provider's connection") as caught:
        run.submit(model_id, bundles)
    assert "sk-wrong-file-key-9" not in str(caught.value)
    assert (server.ledger, server.batch_tasks) == ([], [])


def test_a_wrong_key_in_the_connector(server: Server, run: Run) -> None:
    model_id = server.model(key="sk-wrong-connector-key")
    with pytest.raises(AirflowFailException, match=r"Refused: .*HTTP 401.*Incorrect API key.*rotate_credential"):
        run.submit(model_id, run.prepare(rows_of(1)))
    assert server.ledger == []


def test_a_429_is_retried_after_the_pause_that_was_asked_for(server: Server, run: Run, model_id: str) -> None:
    server.fault("answer", path="_batch_predict", status=429, body="slow down", headers={"Retry-After": "7"})
    bundles = run.prepare(rows_of(2))
    with pytest.raises(Throttled) as caught:
        run.submit(model_id, bundles)
    assert caught.value.retry_after_seconds == 7
    decision = RetryAfter().evaluate(caught.value, 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=7))
    assert server.ledger == []
    run.submit(model_id, bundles)
    assert len(server.ledger) == 1
    assert len([call for call in server.calls if call["path"].endswith("_batch_predict")]) == 2


def test_a_429_of_the_providers_files(server: Server, run: Run, model_id: str) -> None:
    server.fault("answer", method="POST", path="/v1/files", status=429, body={}, headers={"Retry-After": "7"})
    with pytest.raises(Throttled, match=r"upload batch-.*HTTP 429") as caught:
        run.submit(model_id, run.prepare(rows_of(2)))
    assert caught.value.retry_after_seconds == 7
    assert (server.ledger, server.uploads()) == ([], [])


def test_a_model_that_fails_to_deploy_once_is_deployed_again(server: Server, run: Run) -> None:
    server.fault("deploy_fail")
    model_id = run.execute(RegisterModelOperator(task_id="model", name="m", connector_id=create(run)))
    (found,) = server.found("models")
    assert (found["_id"], found["model_state"], found["model_version"]) == (model_id, "DEPLOYED", "1")


def test_a_model_that_fails_to_deploy(server: Server, run: Run) -> None:
    connector_id = create(run)
    server.fault("deploy_fail", times=4)
    operator = RegisterModelOperator(task_id="model", name="m", connector_id=connector_id)
    with pytest.raises(Unavailable, match=r"failed to deploy, also when repeated: .*Fetching master key timed out"):
        run.execute(operator)
    assert server.ledger == []
    model_id = run.execute(operator)
    (found,) = server.found("models")
    assert (found["_id"], found["model_state"], found["model_version"]) == (model_id, "DEPLOYED", "1")


def test_a_model_on_a_connector_that_is_gone(server: Server, run: Run) -> None:
    with pytest.raises(AirflowFailException, match="Failed to find connector:nope"):
        run.execute(RegisterModelOperator(task_id="model", name="m", connector_id="nope"))


def test_a_model_that_is_gone(server: Server, run: Run, model_id: str) -> None:
    with pytest.raises(AirflowFailException, match=r"Failed to find model.*Register it first, or check the model id"):
        run.submit("nope", run.prepare(rows_of(1)))
    assert server.ledger == []


def test_the_provider_refusing_the_file(server: Server, run: Run, model_id: str) -> None:
    body = {"error": {"message": "Invalid file format.", "type": "invalid_request_error", "code": "invalid_file"}}
    server.fault("answer", method="POST", path="/v1/files", status=400, body=body)
    bundles = run.prepare(rows_of(2))
    with pytest.raises(AirflowFailException, match=r"Refused: upload batch-\S+: HTTP 400: .*Invalid file format"):
        run.submit(model_id, bundles)
    assert (server.ledger, server.uploads(), server.batch_tasks) == ([], [], [])
    run.submit(model_id, bundles)
    assert len(server.ledger) == 1


def test_the_provider_refusing_the_batch(server: Server, run: Run, model_id: str) -> None:
    body = {"error": {"message": "Billing hard limit has been reached.", "code": "billing_hard_limit_reached"}}
    server.fault("answer", method="POST", path="/v1/batches", status=400, body=body)
    bundles = run.prepare(rows_of(2))
    with pytest.raises(AirflowFailException, match=r"Refused: .*Billing hard limit has been reached.*refused it"):
        run.submit(model_id, bundles)
    assert (server.ledger, server.batch_tasks) == ([], [])
    run.submit(model_id, bundles)
    assert (len(server.ledger), len(server.uploads())) == (1, 1)


def test_a_provider_that_is_down(server: Server, run: Run, model_id: str) -> None:
    bundles = run.prepare(rows_of(2))
    server.fault("down", face="openai")
    with pytest.raises(Unavailable, match=r"no answer from the provider .*Is the connection's host right\?"):
        run.submit(model_id, bundles)
    assert server.ledger == []
