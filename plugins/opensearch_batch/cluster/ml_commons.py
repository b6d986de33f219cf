"""The ML Commons REST API as values: each function returns a Call, which a worker or a trigger sends over its own
client. Where versions differ the answer decides, and nothing here asks for the version: the table is in versions.py.

Paths and bodies: https://docs.opensearch.org/latest/ml-commons-plugin/api/ and, where the docs differ, the
plugin's source (https://github.com/opensearch-project/ml-commons).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

_ML = "/_plugins/_ml"

COUNTED_STATES = ("CREATED", "RUNNING")
"""Of a batch task: those that count against plugins.ml_commons.max_batch_inference_tasks."""

REPEAT_SECONDS = 60.0
"""A call that one node did not take is sent again for this long at most."""

Purpose = Literal["read", "write", "submit", "look"]
"""What an error means for the caller: `submit` may have started a paid job, `look` concerns one that
runs.
"""


@dataclass(frozen=True)
class Call:
    """One request. `parse` takes the JSON of a 2xx answer; `read` and `look` may be repeated without harm.

    `timeout_seconds` bounds the wait for the answer. `carries_secret`: the body holds a credential. `makes_owned`: what
    it makes belongs to the user on a cluster with access control, and the body may name who else may use it.
    `otherwise` is the same request in the words of another version, sent where the cluster does not know this path.
    """

    name: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    parse: Callable[[Any], Any] = dict
    purpose: Purpose = "write"
    timeout_seconds: float = 60
    carries_secret: bool = False
    makes_owned: bool = False
    otherwise: Call | None = None


@dataclass(frozen=True)
class Hit:
    """One document of a search."""

    id: str
    source: dict[str, Any]


def create_connector(body: Mapping[str, Any]) -> Call:
    return Call(
        "create connector",
        "POST",
        f"{_ML}/connectors/_create",
        body,
        _field("connector_id"),
        carries_secret=True,
        makes_owned=True,
    )


def get_connector(connector_id: str) -> Call:
    return Call(f"get connector {connector_id}", "GET", f"{_ML}/connectors/{_id(connector_id)}", purpose="read")


def update_connector(connector_id: str, body: Mapping[str, Any]) -> Call:
    """Refused while a deployed model uses the connector; `parameters` are merged, `actions` replaced."""
    return Call(
        f"update connector {connector_id}", "PUT", f"{_ML}/connectors/{_id(connector_id)}", body, carries_secret=True
    )


def delete_connector(connector_id: str) -> Call:
    return Call(f"delete connector {connector_id}", "DELETE", f"{_ML}/connectors/{_id(connector_id)}")


def search_connectors(name: str) -> Call:
    return _search("connectors", {"term": {"name.keyword": name}})


def register_group(name: str) -> Call:
    body = {"name": name, "description": "Models of Airflow batch inference"}
    path = f"{_ML}/model_groups/_register"
    return Call("register model group", "POST", path, body, _field("model_group_id"), makes_owned=True)


def search_groups(name: str) -> Call:
    return _search("model_groups", {"term": {"name.keyword": name}})


def delete_group(group_id: str) -> Call:
    return Call(f"delete model group {group_id}", "DELETE", f"{_ML}/model_groups/{_id(group_id)}")


def register_model(name: str, connector_id: str, group_id: str, *, deploy: bool) -> Call:
    """Answers {"task_id", "model_id"} at once; deploying goes on after that, even after its task is COMPLETED."""
    body = {
        "name": name,
        "function_name": "remote",
        "description": "Registered by Airflow batch inference",
        "connector_id": connector_id,
        "model_group_id": group_id,
    }
    query = "?deploy=true" if deploy else ""
    return Call(f"register model {name}", "POST", f"{_ML}/models/_register{query}", body)


def get_model(model_id: str) -> Call:
    return Call(f"get model {model_id}", "GET", f"{_ML}/models/{_id(model_id)}", purpose="read")


def search_models(connector_id: str) -> Call:
    """By match, because connector_id is a text field: a hit may belong to another connector, so compare the ids."""
    return _search("models", {"match": {"connector_id": connector_id}})


def deploy_model(model_id: str) -> Call:
    return Call(f"deploy model {model_id}", "POST", f"{_ML}/models/{_id(model_id)}/_deploy")


def undeploy_model(model_id: str) -> Call:
    return Call(f"undeploy model {model_id}", "POST", f"{_ML}/models/{_id(model_id)}/_undeploy")


def delete_model(model_id: str) -> Call:
    return Call(f"delete model {model_id}", "DELETE", f"{_ML}/models/{_id(model_id)}")


def batch_predict(model_id: str, parameters: Mapping[str, Any]) -> Call:
    """The client waits twice as long as our connectors let the cluster wait, so that an answer is not missed."""
    path = f"{_ML}/models/{_id(model_id)}/_batch_predict"
    return Call(
        f"batch_predict with model {model_id}",
        "POST",
        path,
        {"parameters": dict(parameters)},
        purpose="submit",
        timeout_seconds=120,
    )


def get_task(task_id: str) -> Call:
    """For a batch task the cluster calls the provider and writes a document, every time: one look per job and
    interval.
    """
    return Call(f"get task {task_id}", "GET", f"{_ML}/tasks/{_id(task_id)}", purpose="look")


def search_tasks(query: Mapping[str, Any]) -> Call:
    """Stored documents only: the provider is not asked. Never with an aggregation: 2.19.6 does not answer one."""
    return _search("tasks", query)


def search_open_tasks() -> Call:
    """The batch tasks that the cluster counts against its limit."""
    counted = [{"term": {"task_type": "BATCH_PREDICTION"}}, {"terms": {"state": list(COUNTED_STATES)}}]
    return search_tasks({"bool": {"filter": counted}})


def cancel_task(task_id: str) -> Call:
    call = Call(f"cancel task {task_id}", "POST", f"{_ML}/tasks/{_id(task_id)}/_cancel", purpose="look")
    return replace(call, otherwise=replace(call, path=f"{call.path}_batch"))


def _search(kind: str, query: Mapping[str, Any]) -> Call:
    body = {"size": 200, "query": query}
    return Call(f"search {kind}", "POST", f"{_ML}/{kind}/_search", body, _hits, purpose="read", timeout_seconds=30)


def _hits(answer: Any) -> list[Hit]:
    return [Hit(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]


def _field(name: str) -> Callable[[Any], Any]:
    return lambda answer: answer[name]


def _id(value: str) -> str:
    return quote(value, safe="")
