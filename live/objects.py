"""What a run makes in the cluster, under a name that nobody else has, and how it takes that away again by id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import tenacity

from live.state import State
from live.target import Target
from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.connector_body import prepare_body
from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.cluster.registration import ensure_connector, ensure_group, ensure_model
from opensearch_batch.errors import BatchError
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import store_class
from opensearch_batch.spec import BatchSpec

log = logging.getLogger(__name__)

Send = Callable[[Call], Any]

_FINAL = (401, 403, 404)
_TRIES, _PAUSE_SECONDS = 5, 1
"""The cluster finds the users of an object by a search, which lags behind for a second."""


def make_connector(send: Send, target: Target, vendor: Provider, spec: BatchSpec, state: State) -> str:
    model = spec.model
    raw = vendor.connector(spec.registered_as, model.name, model.endpoint, model.parameters, target.provider_url)
    secrets = store_class(vendor).credential(vendor.CREDENTIAL, target.provider_conn)
    connector_id = ensure_connector(send, prepare_body(raw), secrets, on_change="error")
    _note(state, "connector", connector_id)
    return connector_id


def make_model(send: Send, spec: BatchSpec, connector_id: str, state: State) -> str:
    """Noted one by one: what a broken-off run made can then be removed all the same."""
    _note(state, "group", ensure_group(send, spec.model.group))
    model_id = ensure_model(send, spec.registered_as, connector_id, spec.model.group, deploy=True)
    _note(state, "model", model_id)
    return model_id


def remove(send: Send, made: dict[str, str]) -> list[str]:
    """Remove the objects, users before what they use; return a line for each that is left, with the reason."""
    removals: list[tuple[str, Call]] = []
    left: list[str] = []
    if model_id := made.get("model"):
        try:
            for task_id in _tasks_of(send, model_id):
                _let_the_cluster_see_its_end(send, task_id)
                removals.append((f"task {task_id}", _delete_task(task_id)))
        except BatchError as error:
            left.append(f"tasks of model {model_id}: {error}")
        removals.append((f"deployment of model {model_id}", ml_commons.undeploy_model(model_id)))
        removals.append((f"model {model_id}", ml_commons.delete_model(model_id)))
    if group_id := made.get("group"):
        removals.append((f"model group {group_id}", ml_commons.delete_group(group_id)))
    if connector_id := made.get("connector"):
        removals.append((f"connector {connector_id}", ml_commons.delete_connector(connector_id)))
    left += [line for what, call in removals if (line := _removed(send, what, call))]
    if any(line.startswith("task ") for line in left):
        left.append("a task left RUNNING counts toward the cluster's limit: docs/runbook-task-limit.md")
    return left


def _tasks_of(send: Send, model_id: str) -> list[str]:
    hits: list[Hit] = send(ml_commons.search_tasks({"term": {"model_id": model_id}}))
    return [hit.id for hit in hits if hit.source.get("model_id") == model_id]


def _let_the_cluster_see_its_end(send: Send, task_id: str) -> None:
    """A task is RUNNING until its status was read, and without its model nobody can read it any more."""
    try:
        send(ml_commons.get_task(task_id))
    except BatchError as error:
        log.info("task %s: %s", task_id, error)


def _delete_task(task_id: str) -> Call:
    """https://docs.opensearch.org/latest/ml-commons-plugin/api/tasks-apis/delete-task/; refused while it is RUNNING."""
    return Call(f"delete task {task_id}", "DELETE", f"/_plugins/_ml/tasks/{quote(task_id, safe='')}")


def _removed(send: Send, what: str, call: Call) -> str | None:
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, BatchError) and error.status not in _FINAL),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_fixed(_PAUSE_SECONDS),
        reraise=True,
    )
    try:
        retrying(send, call)
    except BatchError as error:
        return None if error.status == 404 else f"{what}: {error}"
    log.info("removed %s", what)
    return None


def _note(state: State, kind: str, object_id: str) -> None:
    state.set("made", {**state.get("made", {}), kind: object_id})
