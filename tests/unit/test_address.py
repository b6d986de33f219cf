"""Addresses of the cluster and of providers, as people write them into connections."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from opensearch_batch.cluster.address import as_http, filled, is_loopback
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.aws.session import endpoint_of
from opensearch_batch.providers.keyed import base_url

PASSWORD = "p@ss/word-not-a-secret"
IN_URL = "p%40ss%2Fword-not-a-secret"


def connection(conn_type: str = "http", extra: dict[str, Any] | None = None, **values: Any) -> Connection:
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra) if extra else None, **values)


def read(made: Connection) -> Connection:
    return as_http(made, filled(made.extra_dejson))


@pytest.mark.parametrize(
    ("made", "url"),
    [
        (connection(host="search.example.com"), "https://search.example.com"),
        (connection(host="search.example.com", port=9200), "https://search.example.com:9200"),
        (connection(host="search.example.com:9200"), "https://search.example.com:9200"),
        (connection(host="search.example.com/", port=9200), "https://search.example.com:9200"),
        (connection(host="https://search.example.com:9200/"), "https://search.example.com:9200"),
        (connection(host="https://gateway.example.com/search/", port=443), "https://gateway.example.com:443/search"),
        (connection(host="search.example.com", schema="http"), "http://search.example.com"),
        (connection(host="search.example.com", extra={"allow_plain_http": True}), "http://search.example.com"),
        (connection(host="127.0.0.1", port=9200), "http://127.0.0.1:9200"),
        (connection(host="127.0.0.2"), "http://127.0.0.2"),
        (connection(host="localhost"), "http://localhost"),
        (connection(host="::1", port=9200), "http://[::1]:9200"),
        (connection(host="[2001:db8::1]", port=9200), "https://[2001:db8::1]:9200"),
        (connection("opensearch", host="search.example.com"), "https://search.example.com:9200"),
        (connection("opensearch", {"use_ssl": False}, host="search.example.com"), "http://search.example.com:9200"),
        (connection("opensearch", {"use_ssl": True}, host="127.0.0.1"), "https://127.0.0.1:9200"),
        (connection("opensearch", host="127.0.0.1"), "http://127.0.0.1:9200"),
        (connection("opensearch_ml", host="127.0.0.1"), "https://127.0.0.1"),
        (connection("opensearch_ml", host="127.0.0.1", schema="http"), "http://127.0.0.1"),
    ],
)
def test_the_address_of_a_cluster(made: Connection, url: str) -> None:
    assert read(made).host == url


@pytest.mark.parametrize(
    "host", ["https://user:word/sk-not-a-secret@search", "https://user:12/sk-not-a-secret@search", "user:a?b@search"]
)
def test_a_login_that_is_not_escaped_is_refused_and_not_shown(host: str) -> None:
    with pytest.raises(SpecError) as refused:
        read(connection(host=host))
    assert "sk-not-a-secret" not in f"{refused.value}{refused.value.__cause__}"


def test_a_schema_that_is_none_is_refused_where_a_schema_counts() -> None:
    with pytest.raises(SpecError, match="only https and http serve"):
        read(connection(host="search.example.com", schema="articles"))
    assert read(connection("opensearch", host="search", schema="articles")).host == "https://search:9200"


def test_a_gateways_path_keeps_the_port() -> None:
    made = connection(host="gateway.example.com/openai/v1", port=8443)
    assert base_url(made, "https://vendor.example.com/v1") == "https://gateway.example.com:8443/openai/v1"


@pytest.mark.parametrize("host", [f"http://user:{IN_URL}@127.0.0.1:9200", f"user:{IN_URL}@127.0.0.1:9200/"])
def test_a_login_in_the_host_is_the_connections_and_leaves_the_address(host: str) -> None:
    found = read(connection(host=host))
    assert (found.login, found.password, found.host) == ("user", PASSWORD, "http://127.0.0.1:9200")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            connection(host=f"https://user:{IN_URL}@search.example.com", login="other", password="x"),
            "take it out of the",
        ),
        (connection(host=f"https://user:{IN_URL}@search.example.com:port"), "its host is no address"),
        (connection(host=f"https://user:{IN_URL}@"), "has no host"),
        (connection(host=f"ftp://user:{IN_URL}@search.example.com"), "only https and http serve"),
        (connection(), "has no host"),
    ],
)
def test_a_host_that_is_no_address_is_refused_and_no_password_is_shown(made: Connection, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        read(made)
    assert "not-a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (connection(host="search.example.com", schema="http"), 1),
        (connection(host="search.example.com", schema="http", extra={"allow_plain_http": True}), 0),
        (connection(host="127.0.0.1", schema="http"), 0),
        (connection(host="search.example.com"), 0),
    ],
)
def test_plain_http_to_another_machine_is_said(made: Connection, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    read(made)
    assert [record.message for record in caplog.records if "plain http to" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == lines


@pytest.mark.parametrize(("host", "so"), [("127.8.9.1", True), ("::1", True), ("10.0.0.1", False), ("", False)])
def test_this_machine(host: str, so: bool) -> None:
    assert is_loopback(host) is so


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "https://vendor.example/v1"),
        ({"host": "models.example.com"}, "https://models.example.com/v1"),
        ({"host": "models.example.com/", "port": 8443}, "https://models.example.com:8443/v1"),
        ({"host": "models.example.com/v1/"}, "https://models.example.com/v1"),
        ({"host": "https://models.example.com/v1/"}, "https://models.example.com/v1"),
        ({"host": "models.example.com", "schema": "http"}, "http://models.example.com/v1"),
    ],
)
def test_the_address_of_a_provider(values: dict[str, Any], url: str) -> None:
    assert base_url(connection(**values), "https://vendor.example/v1") == url


@pytest.mark.parametrize("host", [f"http://user:{IN_URL}@models.example.com/v1", f"user:{IN_URL}@models.example.com"])
def test_a_login_in_the_address_of_a_provider_is_refused_and_not_shown(host: str) -> None:
    with pytest.raises(SpecError, match="take it out; the key goes into the password") as keyed:
        base_url(connection(host=host), "")
    with pytest.raises(SpecError, match="take it out; the key goes into the password") as aws:
        endpoint_of(connection("aws", {"endpoint_url": host}))
    assert "not-a-secret" not in f"{keyed.value} {aws.value}"
