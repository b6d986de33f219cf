"""The ML Commons REST API as values: every function returns a Call, for the client of a worker or of a trigger to send.

No function asks for the cluster's version: where versions differ the reply decides (versions.py has the table).
Paths and bodies: https://docs.opensearch.org/latest/ml-commons-plugin/api/ and, where the documentation differs, the
plugin's source (https://github.com/opensearch-project/ml-commons).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

_ML = "/_plugins/_ml"

BATCH = "BATCH_PREDICTION"
"""The task_type of a batch."""

COUNTED_STATES = ("CREATED", "RUNNING")
"""States of a batch task that count against plugins.ml_commons.max_batch_inference_tasks."""

REPEAT_SECONDS = 60.0
"""Longest time, in seconds, for which a call is sent again after nodes have not taken the call (NotTaken)."""

Purpose = Literal["read", "write", "submit", "look"]
"""Meaning of an error for the caller: `submit` may have started a paid job, `look` concerns a job that runs."""


@dataclass(frozen=True)
class Call:
    """A request to the cluster, as data; sent by MLCommonsHook.send.

    `parse` turns the JSON of a 2xx reply into the caller's value. Calls with the purpose `read` or `look` may be
    repeated without harm. `timeout_seconds` bounds the wait for the reply. `carries_secret` marks a body with a
    credential. `makes_owned` marks a request that makes an object owned by the user, on a cluster with access control;
    the body may name the backend roles to share the object with. `otherwise` is the same request under the path of a
    different version, sent where the cluster does not know `path` (NoRoute). `lines` is a body of JSON
    lines, instead of `body`.
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
    lines: bytes | None = None


@dataclass(frozen=True)
class Hit:
    """A document found by a search: id and source."""

    id: str
    source: dict[str, Any]


def create_connector(body: Mapping[str, Any]) -> Call:
    """Create a connector; parses to the connector's id."""
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
    """Update a connector: the cluster merges `parameters` and replaces `actions`.

    The cluster refuses the update while a deployed model uses the connector.
    """
    return Call(
        f"update connector {connector_id}", "PUT", f"{_ML}/connectors/{_id(connector_id)}", body, carries_secret=True
    )


def delete_connector(connector_id: str) -> Call:
    return Call(f"delete connector {connector_id}", "DELETE", f"{_ML}/connectors/{_id(connector_id)}")


def search_connectors(name: str) -> Call:
    return _search("connectors", {"term": {"name.keyword": name}})


def register_group(name: str) -> Call:
    """Register a model group; parses to the group's id."""
    body = {"name": name, "description": "Models of Airflow batch inference"}
    path = f"{_ML}/model_groups/_register"
    return Call("register model group", "POST", path, body, _field("model_group_id"), makes_owned=True)


def search_groups(name: str) -> Call:
    return _search("model_groups", {"term": {"name.keyword": name}})


def delete_group(group_id: str) -> Call:
    return Call(f"delete model group {group_id}", "DELETE", f"{_ML}/model_groups/{_id(group_id)}")


ANYTHING = {"input": "{}", "output": "{}"}
"""JSON schemas of a model's requests and answers. Where none is said, ML Commons takes the one that ModelInterfaceUtils
of https://github.com/opensearch-project/ml-commons has for some models, made for online answers: 2.19 refuses a batch
by its input, 3.x by the answer of a provider that has made the job.
"""


def register_model(name: str, connector_id: str, group_id: str, *, deploy: bool) -> Call:
    """Register a model; parses to {"task_id", "model_id"} at once.

    With `deploy` the deployment goes on after the reply, even after the task is COMPLETED.
    """
    body = {
        "name": name,
        "function_name": "remote",
        "description": "Registered by Airflow batch inference",
        "connector_id": connector_id,
        "model_group_id": group_id,
        "interface": ANYTHING,
    }
    query = "?deploy=true" if deploy else ""
    return Call(f"register model {name}", "POST", f"{_ML}/models/_register{query}", body)


def get_model(model_id: str) -> Call:
    return Call(f"get model {model_id}", "GET", f"{_ML}/models/{_id(model_id)}", purpose="read")


def search_models(connector_id: str) -> Call:
    """Search models by match, because connector_id is a text field.

    A hit may belong to a connector with a similar id, so compare the ids.
    """
    return _search("models", {"match": {"connector_id": connector_id}})


def deploy_model(model_id: str) -> Call:
    return Call(f"deploy model {model_id}", "POST", f"{_ML}/models/{_id(model_id)}/_deploy")


def undeploy_model(model_id: str) -> Call:
    return Call(f"undeploy model {model_id}", "POST", f"{_ML}/models/{_id(model_id)}/_undeploy")


def delete_model(model_id: str) -> Call:
    return Call(f"delete model {model_id}", "DELETE", f"{_ML}/models/{_id(model_id)}")


def batch_predict(model_id: str, parameters: Mapping[str, Any]) -> Call:
    """Submit a batch job with the connector's parameters, overridden by `parameters`.

    The client waits 120 s, twice as long as our connectors let the cluster wait, so as not to miss the reply.
    """
    path = f"{_ML}/models/{_id(model_id)}/_batch_predict"
    return Call(
        f"batch_predict with model {model_id}",
        "POST",
        path,
        {"parameters": dict(parameters)},
        purpose="submit",
        timeout_seconds=120,
    )


def predict(model_id: str, parameters: Mapping[str, Any]) -> Call:
    """Ask the model online with the connector's parameters, overridden by `parameters`; parses to the vectors of the
    answer, none where the connector's action has no function that reads vectors.

    The cluster fills `${parameters.x}` in the values too, of a text to embed as of any.
    """
    path = f"{_ML}/models/{_id(model_id)}/_predict"
    body = {"parameters": dict(parameters)}
    return Call(f"predict with model {model_id}", "POST", path, body, _vectors, timeout_seconds=120)


def predict_text(model_id: str, parameters: Mapping[str, Any]) -> Call:
    """Ask the model online as `predict` does; parses to the provider's answers, none where the connector's action has
    a function that makes something else of an answer.
    """
    return replace(predict(model_id, parameters), parse=_told)


def get_task(task_id: str) -> Call:
    """Read a task; look once per job and interval.

    For every read of a batch task the cluster calls the provider and writes a document.
    """
    return Call(f"get task {task_id}", "GET", f"{_ML}/tasks/{_id(task_id)}", purpose="look")


def search_tasks(query: Mapping[str, Any]) -> Call:
    """Search the stored documents of tasks; the cluster does not call the provider.

    Never add an aggregation: 2.19.6 does not reply to a search of tasks with an aggregation.
    """
    return _search("tasks", query)


def search_open_tasks() -> Call:
    """Search the batch tasks that the cluster counts against max_batch_inference_tasks."""
    counted = [{"term": {"task_type": BATCH}}, {"terms": {"state": list(COUNTED_STATES)}}]
    return search_tasks({"bool": {"filter": counted}})


def cancel_task(task_id: str) -> Call:
    """Cancel the job of a task; 2.17.0 has the path _cancel_batch (see versions.py)."""
    call = Call(f"cancel task {task_id}", "POST", f"{_ML}/tasks/{_id(task_id)}/_cancel", purpose="look")
    return replace(call, otherwise=replace(call, path=f"{call.path}_batch"))


def _search(kind: str, query: Mapping[str, Any]) -> Call:
    """Search at most 200 documents; parses to Hits."""
    body = {"size": 200, "query": query}
    return Call(f"search {kind}", "POST", f"{_ML}/{kind}/_search", body, _hits, purpose="read", timeout_seconds=30)


def _hits(answer: Any) -> list[Hit]:
    return [Hit(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]


def _vectors(answer: Any) -> list[list[float]]:
    outputs = [output for result in answer["inference_results"] for output in result["output"]]
    return [[float(number) for number in output["data"]] for output in outputs if "data" in output]


def _told(answer: Any) -> list[Any]:
    """A list of the provider's comes as an object with the list in `response` (StringUtils.fromJson of ML Commons)."""
    outputs = [output for result in answer["inference_results"] for output in result["output"]]
    told = [output["dataAsMap"] for output in outputs if "dataAsMap" in output]
    return [one["response"] if [*one] == ["response"] and isinstance(one["response"], list) else one for one in told]


def _field(name: str) -> Callable[[Any], Any]:
    return lambda answer: answer[name]


def _id(value: str) -> str:
    return quote(value, safe="")
