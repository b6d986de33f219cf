"""One sandbox for all tests here, as new for each; nothing waits longer than it must."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import openai._base_client
import pytest
import tenacity.nap

from sandbox.server import Sandbox
from tests.sandbox.bench import KEY, Run, Server
from tests.sandbox.checking import checked  # noqa: F401
from tests.sandbox.in_s3 import a_process_of_its_own, s3  # noqa: F401


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Sandbox(tmp_path_factory.mktemp("sandbox"), pace="instant") as box:
        made = Server(box.url)
        yield made
        made.http.close()


@pytest.fixture
def server(running: Server) -> Server:
    """Nothing of the test before is left."""
    running.ask("POST", "/_sandbox/reset")
    running.pace("instant")
    return running


@pytest.fixture(autouse=True)
def connections(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    cluster = {"conn_type": "http", "schema": "http", "host": host, "port": int(port)}
    provider = {"conn_type": "openai", "host": f"{server.url}/v1", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps(cluster))
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(provider))


@pytest.fixture(autouse=True)
def no_pauses_between_repeated_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of repetitions stays, their pauses go: those of our hook and those of the SDK."""
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.0)


@pytest.fixture
def model_id(server: Server) -> str:
    return server.model()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)
