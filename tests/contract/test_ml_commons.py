"""The ML Commons face where a real server cannot be asked the same: new, or for what is not served."""

from __future__ import annotations

import pytest

from tests.contract.cluster import Cluster

BEFORE_THE_FIRST = [
    ("GET", "/models/nope", (404, "status_exception", "Fail to find model")),
    ("GET", "/connectors/nope", (404, "status_exception", "Failed to find connector")),
    ("DELETE", "/connectors/nope", (404, "status_exception", "Failed to find connector")),
    ("POST", "/tasks/nope/_cancel", (500, "m_l_resource_not_found_exception", "Fail to find task")),
    ("POST", "/tasks/_search", (400, "parse_exception", "request body or source parameter is required")),
]


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
