"""What Airflow's connection form saves is what the hooks read.

The extras are those that the form of Airflow 3.3.2 sent, in a browser: an untouched field comes as null.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.models.connection import Connection

from opensearch_batch.cluster.hook import MLCommonsAsyncHook, MLCommonsHook
from opensearch_batch.errors import SpecError
from opensearch_batch.provider_info import get_provider_info
from opensearch_batch.providers.hook import ProviderHook
from sandbox.server import Sandbox

UNTOUCHED = {
    "sigv4": None, "region": None, "service": None, "verify_certs": True, "ca_file": None, "allow_plain_http": None,
    "backend_roles": None,
}  # fmt: skip
FILLED = UNTOUCHED | {
    "sigv4": True,
    "region": "eu-central-1",
    "service": "aoss",
    "backend_roles": ["search", "nightly"],
}
KEY = "sk-sandbox-not-a-secret"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("box")) as running:
        yield running


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Under the id `saved`."""

    def save(conn_type: str, extra: dict[str, Any], **fields: Any) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SAVED", json.dumps({"conn_type": conn_type, "extra": extra, **fields}))

    return save


def test_these_are_the_fields_of_the_form() -> None:
    cluster, provider = get_provider_info()["connection-types"]
    assert list(cluster["conn-fields"]) == list(UNTOUCHED)
    assert list(provider["conn-fields"]) == ["provider", "auth_header"]


def test_an_untouched_form_is_https_with_the_certificate_verified(saved: Any) -> None:
    saved("opensearch_ml", UNTOUCHED, host="search.example.com")
    hook = MLCommonsHook("saved")
    session = hook.get_conn()
    assert (hook.base_url, session.verify, session.auth) == ("https://search.example.com", True, None)
    assert not {name.lower() for name in session.headers} & set(UNTOUCHED)


def test_the_trigger_reads_the_same(saved: Any) -> None:
    saved("opensearch_ml", FILLED, host="search.example.com", port=443)
    hook = MLCommonsAsyncHook("saved")
    config = asyncio.run(hook.config())
    assert config.base_url == "https://search.example.com:443"
    assert hook.options == {name: value for name, value in FILLED.items() if value is not None}
    assert config.headers == {}


@pytest.mark.parametrize(
    ("given", "verify"),
    [
        ({"verify_certs": False}, False),
        ({"verify_certs": None}, True),
        ({"verify_certs": False, "ca_file": "x"}, False),
    ],
)
def test_verification_is_switched_off_by_its_field_alone(saved: Any, given: dict[str, Any], verify: bool) -> None:
    saved("opensearch_ml", UNTOUCHED | given, host="search.example.com")
    assert MLCommonsHook("saved").get_conn().verify is verify


def test_the_ca_file_is_what_certificates_are_checked_by(saved: Any, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    saved("opensearch_ml", UNTOUCHED | {"ca_file": str(file)}, host="search.example.com")
    with pytest.raises(SpecError, match=f"{file}"):
        MLCommonsHook("saved").get_conn()
    file.touch()
    assert MLCommonsHook("saved").get_conn().verify == str(file)


def test_sigv4_without_a_service_is_for_a_domain(saved: Any) -> None:
    from opensearch_batch.cluster.sigv4 import Signer

    saved("opensearch_ml", FILLED | {"service": None}, host="search.example.com")
    hook = MLCommonsHook("saved")
    hook.get_conn()
    assert Signer.from_options(hook._options) == Signer("eu-central-1", "es")


def test_the_test_of_a_cluster_asks_it(box: Sandbox, saved: Any) -> None:
    at = urlsplit(box.url)
    connection = {"host": at.hostname, "port": at.port, "schema": "http"}
    saved("opensearch_ml", UNTOUCHED, **connection)
    fine, message = MLCommonsHook("saved").test_connection()
    assert (fine, message) == (True, f"{box.url} answers; it counts 0 open batch tasks that this user may see.")
    saved("opensearch_ml", UNTOUCHED, **connection | {"schema": "https"})
    fine, message = MLCommonsHook("saved").test_connection()
    assert not fine
    assert "does not speak https" in message


@pytest.mark.parametrize("name", ["openai", "cohere"])
def test_the_test_of_a_provider_asks_for_its_jobs(box: Sandbox, saved: Any, name: str) -> None:
    path = "/v1" if name == "openai" else ""
    saved("batch_provider", {"provider": name, "auth_header": None}, host=box.url + path, password=KEY)
    assert ProviderHook("saved").test_connection() == (True, "The provider takes the key and lists its batch jobs.")


def test_without_a_provider_it_is_the_one_of_a_spec_without_one(box: Sandbox, saved: Any) -> None:
    saved("batch_provider", {"provider": None, "auth_header": None}, host=f"{box.url}/v1", password=KEY)
    assert ProviderHook("saved").test_connection()[0]


def test_what_is_wrong_with_a_provider_is_said(box: Sandbox, saved: Any) -> None:
    saved("batch_provider", {"provider": "opanai"}, password=KEY)
    assert ProviderHook("saved").test_connection() == (False, "unknown provider 'opanai'; did you mean 'openai'?")
    saved("batch_provider", {"provider": None}, host=f"{box.url}/v1")
    fine, message = ProviderHook("saved").test_connection()
    assert (fine, message) == (False, "connection 'saved' has no password; put the provider's key there")


@pytest.mark.parametrize("extra", [UNTOUCHED, FILLED])
def test_the_form_survives_a_uri(saved: Any, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]) -> None:
    """Airflow tests a connection, and some secrets backends keep one, as a URI."""
    made = Connection("saved", "opensearch_ml", host="search.example.com", port=443, extra=json.dumps(extra))
    monkeypatch.setenv("AIRFLOW_CONN_SAVED", made.get_uri())
    hook = MLCommonsHook("saved")
    hook.get_conn()
    assert hook.base_url == "https://search.example.com:443"
    assert hook._options == {name: value for name, value in extra.items() if value is not None}
