"""A redirect to another host: no credential follows, whoever sends it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsAsyncHook, MLCommonsHook
from opensearch_batch.errors import BatchError, Refused
from opensearch_batch.providers.store import open_store
from tests.sandbox.bench import Server
from tests.vendors.test_echoed_keys import ALL, key_of
from tests.vendors.vendors import Vendor

ELSEWHERE = "/elsewhere"
KEY = "co-fake-key-that-stays"


@pytest.fixture(autouse=True)
def redirected(server: Server) -> None:
    """Localhost is another host than 127.0.0.1, and the same sandbox, which keeps all calls."""
    port = server.url.rpartition(":")[2]
    to = {"location": f"http://localhost:{port}{ELSEWHERE}?signature=not-shown"}
    for status in (307, 302):
        server.fault("answer", path="^/(v1|aws|_plugins)", status=status, headers=to, times=-1)
    server.ask("DELETE", "/_sandbox/calls")


def sent_elsewhere(server: Server) -> list[dict[str, Any]]:
    return [call for call in server.calls if call["path"].startswith(ELSEWHERE)]


def cluster(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    host = server.url.removeprefix("http://")
    values = {"conn_type": "http", "schema": "http", "host": host, "login": "user", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps(values | {"extra": {"x-api-key": KEY}}))


def from_a_trigger() -> Any:
    async def ask() -> Any:
        async with MLCommonsAsyncHook().sender() as send:
            return await send(ml_commons.search_open_tasks())

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [lambda: MLCommonsHook().send(ml_commons.search_open_tasks()), from_a_trigger])
def test_no_call_to_the_cluster_is_sent_on(server: Server, monkeypatch: pytest.MonkeyPatch, ask: Any) -> None:
    cluster(server, monkeypatch)
    with pytest.raises(Refused, match=r"redirected to http://localhost:\d+, and was not sent there") as caught:
        ask()
    assert "signature" not in str(caught.value)
    assert [call["headers"]["x-api-key"] for call in server.calls] == [KEY]


@pytest.mark.parametrize("vendor", ALL, ids=lambda vendor: vendor.name)
def test_no_key_of_a_provider_follows(server: Server, vendor: Vendor) -> None:
    from airflow.sdk import Connection

    for values in vendor.connections(server).values():
        read = Connection.from_json(values, conn_id="provider")
        store = open_store(providers.get(vendor.name), read, {"files_uri": "s3://corpus/jobs"})
        with pytest.raises(BatchError):
            next(iter(store.recent_jobs(0.0)))
    assert server.calls
    assert bool(sent_elsewhere(server)) is (vendor.name in ("openai", "cohere")), "boto3 follows none"
    for call in sent_elsewhere(server):
        assert "authorization" not in call["headers"]
        assert key_of(vendor) not in json.dumps(call)


def test_neither_does_a_key_in_a_header_of_its_own(server: Server) -> None:
    from airflow.sdk import Connection

    made = {"conn_type": "openai", "host": f"{server.url}/v1", "password": KEY, "extra": {"auth_header": "x-api-key"}}
    store = open_store(providers.get("openai"), Connection.from_json(json.dumps(made), conn_id="provider"))
    with pytest.raises(BatchError):
        store.get_job("batch_1")
    assert server.calls[0]["headers"]["x-api-key"] == KEY
    others = sent_elsewhere(server)
    assert others
    assert [name for call in others for name in call["headers"] if name in ("x-api-key", "authorization")] == []
