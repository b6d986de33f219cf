"""TLS: which authorities are trusted, said by the connection alone, for workers and triggers alike."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsAsyncHook, MLCommonsHook
from opensearch_batch.errors import SpecError, Terminal, Unavailable

CALL = ml_commons.search_open_tasks()
NO_HITS: list[Any] = []


class NoTasks(BaseHTTPRequestHandler):
    """A cluster without a task."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"hits":{"hits":[]}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


def make_certificate(folder: Path, address: str) -> Path:
    """Key, certificate and the authority's own in one file; each has an authority of its own."""
    authority = trustme.CA()
    path = folder / f"{address}.pem"
    authority.issue_cert(address).private_key_and_cert_chain_pem.write_to_path(str(path))
    authority.cert_pem.write_to_path(str(path), append=True)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def serve(certificate: Path) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), NoTasks) as server:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def port(certificate: Path) -> Iterator[int]:
    yield from serve(certificate)


@pytest.fixture(scope="module")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("other"), "127.0.0.2")


@pytest.fixture(scope="module")
def other_port(other_certificate: Path) -> Iterator[int]:
    """Its certificate was made for another address."""
    yield from serve(other_certificate)


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def connect(port: int, schema: str = "https", conn_type: str = "http", **extra: Any) -> None:
        values = {"conn_type": conn_type, "schema": schema, "host": "127.0.0.1", "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps(values))

    return connect


def from_a_worker() -> Any:
    return MLCommonsHook().send(CALL)


def from_a_trigger() -> Any:
    async def ask() -> Any:
        async with MLCommonsAsyncHook().sender() as send:
            return await send(CALL)

    return asyncio.run(ask())


@pytest.fixture(params=[from_a_worker, from_a_trigger])
def send(request: pytest.FixtureRequest) -> Callable[[], Any]:
    found: Callable[[], Any] = request.param
    return found


def test_the_authority_that_the_connection_names_is_trusted(
    connect: Connect, port: int, certificate: Path, send: Callable[[], Any]
) -> None:
    connect(port, verify=str(certificate))
    assert send() == NO_HITS


def test_and_goes_before_that_of_the_environment(
    connect: Connect,
    port: int,
    certificate: Path,
    tmp_path: Path,
    send: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = str(make_certificate(tmp_path, "127.0.0.3"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other)
    monkeypatch.setenv("SSL_CERT_FILE", other)
    connect(port, verify=str(certificate))
    assert send() == NO_HITS


@pytest.mark.parametrize(
    ("conn_type", "extra"), [("http", {"verify": False}), ("opensearch", {"use_ssl": True, "verify_certs": False})]
)
def test_no_verification_is_possible_too(
    connect: Connect, port: int, conn_type: str, extra: dict[str, Any], send: Callable[[], Any]
) -> None:
    connect(port, conn_type=conn_type, **extra)
    if send is from_a_worker:
        with pytest.warns(Warning, match="Unverified HTTPS request"):
            assert send() == NO_HITS
    else:
        assert send() == NO_HITS


def test_a_client_certificate_goes_with_it(
    connect: Connect, port: int, certificate: Path, send: Callable[[], Any]
) -> None:
    connect(port, verify=str(certificate), cert=str(certificate))
    assert send() == NO_HITS


def test_an_unknown_authority_is_for_a_person_to_settle(connect: Connect, port: int, send: Callable[[], Any]) -> None:
    connect(port)
    with pytest.raises(Terminal, match=r'CERTIFICATE_VERIFY_FAILED.*\{"verify": "/path/to/ca.pem"\}') as caught:
        send()
    assert "host right?" not in str(caught.value)


def test_a_certificate_for_another_address(
    connect: Connect, other_port: int, other_certificate: Path, send: Callable[[], Any]
) -> None:
    connect(other_port, verify=str(other_certificate))
    with pytest.raises(Terminal, match=r"made for another name: give that one as the connection's host"):
        send()


def test_an_authority_that_is_not_on_this_machine(connect: Connect, port: int, send: Callable[[], Any]) -> None:
    connect(port, verify="/nowhere/ca.pem")
    with pytest.raises(SpecError, match=r'"verify": \'/nowhere/ca.pem\', and this machine has no such file'):
        send()


def test_plain_http_to_a_port_that_speaks_https(connect: Connect, port: int, send: Callable[[], Any]) -> None:
    connect(port, schema="http")
    with pytest.raises(Unavailable, match=r"If it speaks https, the connection's schema must say so"):
        send()


def test_https_to_a_port_that_speaks_plain_http(connect: Connect, server: Any, send: Callable[[], Any]) -> None:
    connect(int(server.url.rpartition(":")[2]))
    with pytest.raises(Terminal, match=r'does not speak https at this port: set the connection\'s schema to "http"'):
        send()
