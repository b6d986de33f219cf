"""Connector bodies: read, pointed at a server, marked with their hash, and never with a key in them."""

from __future__ import annotations

import copy
import json
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opensearch_batch.cluster.connector_body import body_hash, load_body, prepare_body
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.keyed import credential
from opensearch_batch.providers.openai import provider as openai

VENDOR = "https://api.openai.com/v1"
BODY: dict[str, Any] = {
    "name": "Embedding model",
    "description": "For testing",
    "version": "1",
    "protocol": "http",
    "parameters": {"model": "m"},
    "credential": {"openAI_key": "<key>"},
    "actions": [
        {"action_type": "predict", "method": "POST", "url": f"{VENDOR}/embeddings", "request_body": "{ }"},
        {"action_type": "batch_predict", "method": "POST", "url": f"{VENDOR}/batches", "request_body": "{ }"},
        {"action_type": "batch_predict_status", "method": "GET", "url": VENDOR + "/batches/${parameters.id}"},
        {"action_type": "cancel_batch_predict", "method": "POST", "url": VENDOR + "/batches/${parameters.id}/cancel"},
    ],
}


def prepared(body: dict[str, Any] = BODY, base_url: str | None = None) -> dict[str, Any]:
    return prepare_body(body, partial(openai.moved, base_url=base_url) if base_url else None)


def digest(body: dict[str, Any]) -> str:
    match = re.search(r"\(body sha256: ([0-9a-f]{16})\)$", body["description"])
    assert match
    return match[1]


def test_the_credential_is_taken_out_and_does_not_count() -> None:
    other = copy.deepcopy(BODY) | {"credential": {"openAI_key": "<another placeholder>"}}
    assert "credential" not in prepared()
    assert prepared() == prepared(other)


def test_the_hash_stands_in_the_description_and_is_stable_over_key_order() -> None:
    turned = dict(reversed(list(BODY.items())))
    assert prepared()["description"].startswith("For testing (body sha256: ")
    assert digest(prepared()) == digest(prepared(turned))
    assert body_hash({"a": 1, "b": 2}) == body_hash({"b": 2, "a": 1}) == "d8497d9d82770a70"


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"model": "other"}},
        {"description": "Other"},
        {"actions": BODY["actions"][:3]},
        {"client_config": {"read_timeout": 60}},
    ],
)
def test_any_change_of_the_body_changes_the_hash(change: dict[str, Any]) -> None:
    assert digest(prepared(BODY | change)) != digest(prepared())


def test_a_body_without_a_description_gets_one() -> None:
    bare = {key: value for key, value in BODY.items() if key != "description"}
    assert prepared(bare)["description"].startswith("Embedding model for batch inference from Airflow (body sha256: ")


def test_moving_points_every_action_at_the_other_server() -> None:
    moved = prepared(base_url="http://127.0.0.1:9/v1")
    assert [action["url"] for action in moved["actions"]] == [
        "http://127.0.0.1:9/v1/embeddings",
        "http://127.0.0.1:9/v1/batches",
        "http://127.0.0.1:9/v1/batches/${parameters.id}",
        "http://127.0.0.1:9/v1/batches/${parameters.id}/cancel",
    ]
    assert BODY["actions"][0]["url"] == f"{VENDOR}/embeddings", "the caller's body is left alone"


def test_status_and_cancel_that_leave_the_vendors_host_get_a_request_body() -> None:
    moved = {action["action_type"]: action for action in prepared(base_url="http://127.0.0.1:9/v1")["actions"]}
    assert moved["batch_predict_status"]["request_body"] == "{}"
    assert moved["cancel_batch_predict"]["request_body"] == "{}"
    assert moved["predict"]["request_body"] == "{ }"


@pytest.mark.parametrize("base_url", [None, VENDOR])
def test_without_another_server_the_actions_stay_as_they_are(base_url: str | None) -> None:
    assert prepared(base_url=base_url)["actions"] == BODY["actions"]


def test_an_action_of_another_host_is_not_moved() -> None:
    elsewhere = BODY | {"actions": [{"action_type": "predict", "method": "POST", "url": "https://example.org/v1/x"}]}
    assert prepared(elsewhere, "http://127.0.0.1:9/v1")["actions"][0]["url"] == "https://example.org/v1/x"


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_body_is_read_from_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"connector{suffix}"
    path.write_text(json.dumps(BODY))
    assert load_body(str(path)) == BODY
    assert load_body(BODY) == BODY


@pytest.mark.parametrize(
    ("content", "message"),
    [("{[", "neither JSON nor YAML"), ("[]", "a connector body is"), ("text", "a connector bod")],
)
def test_a_file_that_is_no_body_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "connector.yaml"
    path.write_text(content)
    with pytest.raises(SpecError, match=message):
        load_body(str(path))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.json: No such file"):
        load_body(str(tmp_path / "nowhere.json"))


@pytest.mark.parametrize("body", [{}, {"name": "a"}, {"name": "a", "actions": []}, None, 5])
def test_a_value_that_is_no_body_is_refused(body: Any) -> None:
    with pytest.raises(SpecError, match="name, protocol, credential and actions"):
        load_body(body)


def connection(password: str | None = None, **extra: Any) -> Any:
    return SimpleNamespace(conn_id="vendor_default", password=password, extra_dejson=extra)


@pytest.mark.parametrize("placeholder", ["<your key>", "${KEY}", "", None])
def test_one_key_comes_from_the_password(placeholder: str | None) -> None:
    assert credential({"openAI_key": placeholder}, connection("sk-test")) == {"openAI_key": "sk-test"}


def test_several_keys_come_from_the_extra() -> None:
    names = {"access_key": "<a>", "secret_key": "<s>"}
    assert credential(names, connection(access_key="A", secret_key="S")) == {"access_key": "A", "secret_key": "S"}
    with pytest.raises(SpecError, match=r"connection 'vendor_default' lacks .* its extra: secret_key"):
        credential(names, connection("sk-test", access_key="A"))


def test_a_connection_without_the_key_is_named() -> None:
    with pytest.raises(SpecError, match=r"connection 'vendor_default' lacks the provider's key; put it into its passw"):
        credential({"openAI_key": "<key>"}, connection())


def test_a_key_written_into_the_body_is_refused_and_not_repeated() -> None:
    with pytest.raises(SpecError, match="credential 'openAI_key' is written into the connector body") as caught:
        credential({"openAI_key": "sk-literal"}, connection("sk-test"))
    assert "sk-literal" not in str(caught.value)


def test_a_key_written_into_a_header_is_refused_and_not_repeated() -> None:
    """It would lie readable in the connector's document, and in the difference of a later run."""
    literal = copy.deepcopy(BODY)
    literal["actions"][0]["headers"] = {"Authorization": "Bearer sk-literal"}
    with pytest.raises(SpecError) as caught:
        prepared(literal)
    assert "sk-literal" not in str(caught.value)
