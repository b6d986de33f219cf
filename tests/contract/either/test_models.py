"""Connectors, model groups and models: statuses, types and reasons of 2.19.6 and 3.6.0."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.cluster import KEY, Cluster, connector, history
from tests.patience import until

ABSENT = [
    ("GET", "/tasks/nope", (404, "status_exception", "Failed to find task")),
    ("DELETE", "/tasks/nope", (404, "status_exception", "Failed to find task")),
    ("GET", "/models/nope", (404, "status_exception", "Failed to find model with the provided model id: nope")),
    ("DELETE", "/models/nope", (404, "status_exception", "Failed to find model")),
    ("POST", "/tasks/nope/_cancel", (404, "status_exception", "Fail to find task")),
    (
        "GET",
        "/connectors/nope",
        (404, "status_exception", "Failed to find connector with the provided connector id: nope"),
    ),
]


@pytest.mark.parametrize(("method", "path", "expected"), ABSENT)
def test_what_is_absent(cluster: Cluster, method: str, path: str, expected: tuple[int, str, str]) -> None:
    cluster.model()
    assert cluster.refused(method, path) == expected


BAD_CONNECTORS = [
    ({"name": None}, "illegal_argument_exception", "Connector name is null"),
    ({"credential": None}, "illegal_argument_exception", "Connector credential is null or empty list"),
    (
        {"actions": [{"action_type": "bogus"}]},
        "illegal_argument_exception",
        "No enum constant org.opensearch.ml.common.connector.ConnectorAction.ActionType.BOGUS",
    ),
]
# What each version says to a protocol it does not know, and whether it takes any name.
FTP_2X = "Can't find class for type ftp"
FTP_3X = "Unsupported connector protocol. Please use one of [aws_sigv4, http, mcp_sse, mcp_streamable_http]"
ODD_NAME = (
    "Validation Failed: 1: Model connector name can only contain letters, numbers, spaces, and basic punctuation "
    "(.,!?():@-_'/\");"
)


@pytest.mark.parametrize(("changes", "type_", "reason"), BAD_CONNECTORS)
def test_a_bad_connector(cluster: Cluster, changes: dict[str, Any], type_: str, reason: str) -> None:
    body = connector(cluster.provider_url, **changes)
    assert cluster.refused("POST", "/connectors/_create", body) == (400, type_, reason)


def test_what_only_3x_checks_or_says_otherwise(cluster: Cluster, is_3x: bool) -> None:
    ftp = cluster.refused("POST", "/connectors/_create", connector(cluster.provider_url, protocol="ftp"))
    assert ftp == (400, "illegal_argument_exception", FTP_3X if is_3x else FTP_2X)
    body = connector(cluster.provider_url, name="a/b <c>")
    if is_3x:
        refused = (400, "action_request_validation_exception", ODD_NAME)
        assert cluster.refused("POST", "/connectors/_create", body) == refused
    else:
        assert cluster.ok("POST", "/connectors/_create", body)["connector_id"]


def test_a_credential_never_comes_back(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    shown = [
        cluster.ok("GET", f"/connectors/{connector_id}"),
        cluster.ok("POST", "/connectors/_search", {"query": {"ids": {"values": [connector_id]}}}),
    ]
    assert "credential" not in shown[0]
    assert KEY not in str(shown)
    assert shown[0]["actions"][0]["action_type"] == "PREDICT"


def users_of(reason: str, advice: str) -> list[str]:
    """The models that are named. A real server has named those of other connectors too."""
    form = rf"(\d+) models are still using this connector, please {advice} the models first: \[(.*)\]"
    found = re.fullmatch(form, reason)
    assert found, reason
    models = found[2].split(", ")
    assert len(models) == int(found[1])
    return models


def test_a_connector_in_use_stays_as_it_is(cluster: Cluster) -> None:
    is_real = cluster.provider_url != cluster.url
    connector_id = cluster.connector()
    model_id = cluster.model(connector_id)
    change = {"description": "changed", "parameters": {"extra": "1"}}
    refused = cluster.refused("PUT", f"/connectors/{connector_id}", change)
    assert refused[:2] == (400, "status_exception")
    assert model_id in (users := users_of(refused[2], "undeploy"))
    assert is_real or users == [model_id]
    refused = cluster.refused("DELETE", f"/connectors/{connector_id}")
    assert refused[:2] == (409, "status_exception")
    assert model_id in (users := users_of(refused[2], "delete or update"))
    assert is_real or users == [model_id]
    cluster.undeploy(model_id)
    status, answer = cluster.call("PUT", f"/connectors/{connector_id}", change)
    if is_real and status == 400:  # a node whose ids have hyphens finds the models of its other connectors, too
        assert model_id not in users_of(answer["error"]["reason"], "undeploy")
        return
    assert (status, answer["result"]) == (200, "updated")
    merged = cluster.ok("GET", f"/connectors/{connector_id}")["parameters"]
    assert merged == {"model": "text-embedding-3-small", "api_path": "/v1/embeddings", "extra": "1"}
    cluster.ok("DELETE", f"/models/{model_id}")
    assert cluster.ok("DELETE", f"/connectors/{connector_id}")["result"] == "deleted"
    assert cluster.ok("DELETE", f"/connectors/{connector_id}")["result"] == "not_found"


def test_a_group_name_is_taken_once(cluster: Cluster) -> None:
    name = f"group {uuid4()}"
    group_id = cluster.ok("POST", "/model_groups/_register", {"name": name})["model_group_id"]
    assert cluster.refused("POST", "/model_groups/_register", {"name": name}) == (
        400,
        "illegal_argument_exception",
        f"The name you provided is already being used by a model group with ID: {group_id}.",
    )
    assert cluster.found("model_groups", {"term": {"name.keyword": name}}) == [group_id]
    body = {"name": "m", "function_name": "remote", "model_group_id": group_id, "connector_id": cluster.connector()}
    cluster.ok("POST", "/models/_register", body)
    in_use = (409, "status_exception", "Cannot delete the model group when it has associated model versions")
    assert cluster.refused("DELETE", f"/model_groups/{group_id}") == in_use


def test_a_model_is_registered_before_it_is_deployed(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    name = f"model {uuid4()}"
    body = {"name": name, "function_name": "remote", "connector_id": connector_id}
    registered = cluster.ok("POST", "/models/_register?deploy=true", body)
    model_id = registered["model_id"]
    registration = f"/tasks/{registered['task_id']}"
    until(lambda: cluster.ok("GET", registration)["state"], lambda state: state == "COMPLETED")
    seen = history(lambda: cluster.state(model_id), "DEPLOYED")
    # How many of them a busy machine catches is its own affair, their order is not.
    assert seen == [state for state in ("REGISTERED", "DEPLOYING", "DEPLOYED") if state in seen]
    assert cluster.refused("DELETE", f"/models/{model_id}") == (
        400,
        "status_exception",
        "Model cannot be deleted in deploying or deployed state. Try undeploy model first then delete",
    )
    again = cluster.ok("POST", "/models/_register", body)["model_id"]
    assert cluster.ok("GET", f"/models/{again}")["model_version"] == "2"
    assert sorted(cluster.found("models", {"term": {"name.keyword": name}})) == sorted([model_id, again])


BAD_MODELS = [
    ({"connector_id": "nope"}, (404, "status_exception", "Failed to find connector:nope")),
    (
        {"model_group_id": "nope"},
        (500, "m_l_resource_not_found_exception", "Model Group Response is empty for nope"),
    ),
    (
        {"connector_id": None},
        (
            400,
            "illegal_argument_exception",
            "You must provide connector content when creating a remote model without connector id!",
        ),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), BAD_MODELS)
def test_a_bad_model(cluster: Cluster, changes: dict[str, Any], expected: tuple[int, str, str]) -> None:
    body = {"name": f"model {uuid4()}", "function_name": "remote", "connector_id": cluster.connector()} | changes
    given = {name: value for name, value in body.items() if value is not None}
    assert cluster.refused("POST", "/models/_register?deploy=true", given) == expected


def test_a_term_on_a_text_field_finds_nothing(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    model_id = cluster.model(connector_id)
    assert cluster.found("models", {"term": {"connector_id": connector_id}}) == []
    # Alike ids match too: those of one node often share a word between hyphens.
    assert model_id in cluster.found("models", {"match": {"connector_id": connector_id}})
