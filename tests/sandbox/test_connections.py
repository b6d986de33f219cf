"""Connections of each type, older servers and stricter ones: the same flow."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Refused
from opensearch_batch.providers.openai.store import OpenAIFiles
from sandbox.server import Sandbox
from tests.sandbox.bench import KEY, Run, Server, rows_of, sensor


@pytest.fixture(params=["2.19.6", "3.6.0"])
def other(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A sandbox that behaves as this version."""
    with Sandbox(tmp_path / "box", pace="polls:1", profile=request.param) as box:
        server = Server(box.url)
        connect(monkeypatch, server, {"conn_type": "http", "schema": "http"})
        yield server
        server.http.close()


def connect(monkeypatch: pytest.MonkeyPatch, server: Server, cluster: dict[str, Any]) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    provider = {"conn_type": "openai", "host": f"{server.url}/v1", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps({"host": host, "port": int(port), **cluster}))
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(provider))


def test_the_flow_on_each_version_of_the_server(other: Server, run: Run) -> None:
    report = run.through(other.model(), rows_of(20))["report"]
    assert (report["answered"], report["missing"]) == (20, 0)
    assert all(type(report[name]) is int for name in ("answered", "actual_tokens"))


@pytest.mark.parametrize("version", ["2.19.6", "3.6.0"])
def test_a_server_that_refuses_private_addresses_says_which_setting(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with Sandbox(tmp_path / "box", profile=version, private_ip="refuse") as box:
        server = Server(box.url)
        connect(monkeypatch, server, {"conn_type": "http", "schema": "http"})
        with pytest.raises(AirflowFailException, match=r"has private ip address.*private_ip_enabled"):
            run.submit(server.model(), run.prepare(rows_of(1)))
        assert server.ledger == []
        server.http.close()


@pytest.mark.parametrize(
    "cluster",
    [
        {"conn_type": "opensearch", "extra": {"use_ssl": False, "verify_certs": False}},
        {"conn_type": "http", "schema": "http", "extra": {"timeout": 20, "allow_plain_http": True, "region": "x"}},
        {"conn_type": "opensearch_ml", "schema": "http", "extra": {"sigv4": None, "region": None, "backend_roles": []}},
    ],
    ids=["opensearch", "http", "opensearch_ml"],
)
def test_each_type_of_connection_serves_workers_and_triggers(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, cluster: dict[str, Any]
) -> None:
    connect(monkeypatch, server, cluster | {"login": "batch_runner", "password": "cluster-not-a-secret"})
    server.pace("polls:2")
    server.ask("DELETE", "/_sandbox/calls")
    assert run.through(model_id, rows_of(3))["report"]["answered"] == 3
    basic = "Basic " + base64.b64encode(b"batch_runner:cluster-not-a-secret").decode()
    asked = [call["headers"] for call in server.calls if call["path"].startswith("/_plugins/")]
    assert {headers.get("authorization") for headers in asked} == {basic}
    own = {"use_ssl", "verify_certs", "allow_plain_http", "region", "sigv4", "service", "timeout", "backend_roles"}
    assert not own & {name for headers in asked for name in headers}
    waiting = sensor([])
    assert "cluster-not-a-secret" not in str(vars(waiting)) + json.dumps(run.manifest) + str(run.xcoms)


def test_connections_may_have_other_names(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENSEARCH", "OPENAI"):
        monkeypatch.setenv(f"AIRFLOW_CONN_MY_{name}", _environment(monkeypatch, f"AIRFLOW_CONN_{name}_DEFAULT"))
    ids = {"opensearch_conn_id": "my_opensearch", "provider_conn_id": "my_openai"}
    jobs = run.submit(model_id, run.prepare(rows_of(2)), **ids)
    outcomes = run.wait(jobs, **ids)
    assert run.fetch(outcomes, **ids)["report"]["answered"] == 2


def _environment(monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """Take the variable away, and say what it was."""
    value = os.environ[name]
    monkeypatch.delenv(name)
    return value


def test_a_bundle_that_broke_off_in_the_middle_goes_on_where_it_was(server: Server, model_id: str, run: Run) -> None:
    bundles = run.prepare(rows_of(6), max_requests=2)
    first, rest = bundles[0], bundles[1:]
    run.submit(model_id, first)
    server.fault("answer", method="POST", path="/v1/files", status=400, body={"error": {"message": "No more files."}})
    with pytest.raises(AirflowFailException, match="No more files"):
        run.submit(model_id, [first, *rest])
    jobs = run.submit(model_id, [first, *rest])
    assert [job["shard"]["index"] for job in jobs] == [0, 1, 2]
    assert (len(server.ledger), len(server.uploads())) == (3, 3)


def test_a_base_url_without_its_path_gets_a_hint(server: Server) -> None:
    server.fault("answer", method="GET", path="/files", status=404, body="not found", times=-1)
    with pytest.raises(Refused, match=f"HTTP 404: .*The base URL {server.url} has no path: .* at {server.url}/v1"):
        OpenAIFiles(server.url, KEY).stored_bytes()
    with pytest.raises(Refused) as with_path:
        OpenAIFiles(f"{server.url}/v1", KEY).stored_bytes()
    assert "base URL" not in str(with_path.value)
