"""The ML Commons face: statuses, types and reasons are those that real servers (2.19.6, 3.6.0) answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.cluster import KEY, Cluster, connector, history

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
BEFORE_THE_FIRST = [
    ("GET", "/models/nope", (404, "status_exception", "Fail to find model")),
    ("GET", "/connectors/nope", (404, "status_exception", "Failed to find connector")),
    ("DELETE", "/connectors/nope", (404, "status_exception", "Failed to find connector")),
    ("POST", "/tasks/nope/_cancel", (500, "m_l_resource_not_found_exception", "Fail to find task")),
    ("POST", "/tasks/_search", (400, "parse_exception", "request body or source parameter is required")),
]


@pytest.mark.parametrize(("method", "path", "expected"), ABSENT)
def test_what_is_absent(cluster: Cluster, method: str, path: str, expected: tuple[int, str, str]) -> None:
    cluster.model()
    assert cluster.refused(method, path) == expected


@pytest.mark.parametrize(("method", "path", "expected"), BEFORE_THE_FIRST)
def test_what_is_absent_before_its_index_exists(
    cluster: Cluster, method: str, path: str, expected: tuple[int, str, str]
) -> None:
    assert cluster.refused(method, path) == expected


def test_predicting_before_the_first_model_names_the_index(cluster: Cluster) -> None:
    status, answer = cluster.call("POST", "/models/nope/_batch_predict", {"parameters": {}})
    assert status == 404
    assert answer["error"]["reason"] == "Failed to get data object from index .plugins-ml-model"
    assert answer["error"]["root_cause"][0]["reason"] == "no such index [.plugins-ml-model]"


def test_searching_before_the_first_document_finds_nothing(cluster: Cluster) -> None:
    assert cluster.found("tasks", {"match_all": {}}) == []


BAD_CONNECTORS = [
    ({"name": None}, "illegal_argument_exception", "Connector name is null"),
    ({"credential": None}, "illegal_argument_exception", "Connector credential is null or empty list"),
    (
        {"protocol": "ftp"},
        "illegal_argument_exception",
        "Unsupported connector protocol. Please use one of [aws_sigv4, http, mcp_sse, mcp_streamable_http]",
    ),
    (
        {"actions": [{"action_type": "bogus"}]},
        "illegal_argument_exception",
        "No enum constant org.opensearch.ml.common.connector.ConnectorAction.ActionType.BOGUS",
    ),
    (
        {"name": "a/b <c>"},
        "action_request_validation_exception",
        "Validation Failed: 1: Model connector name can only contain letters, numbers, spaces, and basic punctuation "
        "(.,!?():@-_'/\");",
    ),
]


@pytest.mark.parametrize(("changes", "type_", "reason"), BAD_CONNECTORS)
def test_a_bad_connector(cluster: Cluster, changes: dict[str, Any], type_: str, reason: str) -> None:
    body = connector(cluster.url, **changes)
    assert cluster.refused("POST", "/connectors/_create", body) == (400, type_, reason)


def test_a_credential_never_comes_back(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    shown = [
        cluster.ok("GET", f"/connectors/{connector_id}"),
        cluster.ok("POST", "/connectors/_search", {"query": {"match_all": {}}}),
    ]
    assert "credential" not in shown[0]
    assert KEY not in str(shown)
    assert shown[0]["actions"][0]["action_type"] == "PREDICT"


def test_a_connector_in_use_stays_as_it_is(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    model_id = cluster.model(connector_id)
    used = "1 models are still using this connector, please"
    change = {"description": "changed", "parameters": {"extra": "1"}}
    assert cluster.refused("PUT", f"/connectors/{connector_id}", change) == (
        400,
        "status_exception",
        f"{used} undeploy the models first: [{model_id}]",
    )
    assert cluster.refused("DELETE", f"/connectors/{connector_id}") == (
        409,
        "status_exception",
        f"{used} delete or update the models first: [{model_id}]",
    )
    cluster.ok("POST", f"/models/{model_id}/_undeploy")
    assert cluster.ok("PUT", f"/connectors/{connector_id}", change)["result"] == "updated"
    merged = cluster.ok("GET", f"/connectors/{connector_id}")["parameters"]
    assert merged == {"model": "text-embedding-3-small", "api_path": "/v1/embeddings", "extra": "1"}
    cluster.ok("DELETE", f"/models/{model_id}")
    assert cluster.ok("DELETE", f"/connectors/{connector_id}")["result"] == "deleted"
    assert cluster.ok("DELETE", f"/connectors/{connector_id}")["result"] == "not_found"


def test_a_group_name_is_taken_once(cluster: Cluster) -> None:
    group_id = cluster.ok("POST", "/model_groups/_register", {"name": "g"})["model_group_id"]
    assert cluster.refused("POST", "/model_groups/_register", {"name": "g"}) == (
        400,
        "illegal_argument_exception",
        f"The name you provided is already being used by a model group with ID: {group_id}.",
    )
    assert cluster.found("model_groups", {"term": {"name.keyword": "g"}}) == [group_id]
    body = {"name": "m", "function_name": "remote", "model_group_id": group_id, "connector_id": cluster.connector()}
    cluster.ok("POST", "/models/_register", body)
    in_use = (409, "status_exception", "Cannot delete the model group when it has associated model versions")
    assert cluster.refused("DELETE", f"/model_groups/{group_id}") == in_use


def test_a_model_is_registered_before_it_is_deployed(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    body = {"name": "m", "function_name": "remote", "connector_id": connector_id}
    registered = cluster.ok("POST", "/models/_register?deploy=true", body)
    model_id = registered["model_id"]
    assert cluster.ok("GET", f"/tasks/{registered['task_id']}")["state"] == "COMPLETED"
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
    assert sorted(cluster.found("models", {"term": {"name.keyword": "m"}})) == sorted([model_id, again])


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
    body = {"name": "m", "function_name": "remote", "connector_id": cluster.connector()} | changes
    assert cluster.refused("POST", "/models/_register?deploy=true", body) == expected


def test_a_term_on_a_text_field_finds_nothing(cluster: Cluster) -> None:
    connector_id = cluster.connector()
    model_id = cluster.model(connector_id)
    assert cluster.found("models", {"term": {"connector_id": connector_id}}) == []
    assert cluster.found("models", {"match": {"connector_id": connector_id}}) == [model_id]


def test_what_is_not_served_says_so(cluster: Cluster) -> None:
    cluster.model()
    assert cluster.refused("GET", "/agents/x")[::2] == (501, "the sandbox does not serve GET /_plugins/_ml/agents/x")
    bodies: list[dict[str, Any]] = [
        {"aggs": {"a": {}}},
        {"query": {"fuzzy": {"name": "m"}}},
        {"query": {"bool": {"boost": 1}}},
    ]
    for body in bodies:
        assert cluster.refused("POST", "/models/_search", body)[0] == 501
