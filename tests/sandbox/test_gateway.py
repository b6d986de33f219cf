"""A gateway that takes no bearer token: the key comes bare, in the header that the connection names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from tests.sandbox.bench import KEY, MODEL, Run, Server, rows_of

HEADER, GATEWAY_KEY = "Ocp-Apim-Subscription-Key", "gateway-not-a-secret"
SPEC = {
    "name": "gateway",
    "model": {"name": MODEL, "parameters": {"dimensions": 8}},
    "input": {"uri": "file:///not-read"},
    "output": {"uri": "file:///not-written"},
}


class Gateway(ThreadingHTTPServer):
    """Hands on to the sandbox what has the gateway's key and no Authorization; `refused` counts the rest."""

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = httpx.Client(base_url=behind, trust_env=False, timeout=30)
        self.handed_on: set[str] = set()
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/openai/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get(HEADER) != GATEWAY_KEY or "Authorization" in self.headers:
            self.server.refused += 1
            self._answer(401, b'{"statusCode": 401, "message": "Access denied due to missing subscription key."}')
            return
        path = self.path.removeprefix("/openai")
        self.server.handed_on.add(f"{self.command} {path.split('?')[0].rsplit('/', 1)[0]}")
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": self.headers.get("Content-Type") or ""}
        answer = self.server.behind.request(self.command, path, content=body, headers=headers)
        self._answer(answer.status_code, answer.content)

    do_POST = do_GET

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not to the terminal."""


@pytest.fixture
def gateway(server: Server) -> Iterator[Gateway]:
    with Gateway(server.url) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()
        made.behind.close()


def connect(monkeypatch: pytest.MonkeyPatch, gateway: Gateway, **extra: Any) -> None:
    fields = {"conn_type": "openai", "host": gateway.url, "password": GATEWAY_KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(fields))


def model_of(run: Run) -> str:
    connector = run.execute(CreateConnectorOperator(task_id="connector", spec=SPEC))
    return str(run.execute(RegisterModelOperator(task_id="model", spec=SPEC, connector_id=connector)))


def test_the_key_goes_in_the_header_that_the_connection_names(
    gateway: Gateway, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, gateway, auth_header=HEADER)
    report = run.through(model_of(run), rows_of(20))["report"]
    assert (report["answered"], report["missing"], gateway.refused) == (20, 0, 0)
    assert {"POST /v1", "GET /v1", "GET /v1/batches", "GET /v1/files"} <= gateway.handed_on
    [connector] = server.found("connectors")
    assert {json.dumps(action["headers"]) for action in connector["actions"]} == {
        json.dumps({HEADER: "${credential.openAI_key}"})
    }


def test_a_bearer_token_is_what_goes_otherwise(gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, gateway, auth_header="authorization")
    with pytest.raises(AirflowFailException, match=r"401.*missing subscription key"):
        run.prepare(rows_of(1))
    assert gateway.refused == 1


@pytest.mark.parametrize("name", ["api key", "a:b", "x\r\ny", 7, ["api-key"]])
def test_what_is_no_name_of_a_header_is_refused(
    gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    connect(monkeypatch, gateway, auth_header=name)
    with pytest.raises(AirflowFailException, match=r"'openai_default': auth_header .* is no name of a header"):
        model_of(run)
