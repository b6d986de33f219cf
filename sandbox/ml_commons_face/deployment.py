"""A model on its way to the nodes: a registration answers earlier, so for a moment the model is not deployed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.ml_commons_face.documents import NODE_ID, now_ms

if TYPE_CHECKING:
    from sandbox.faults import Faults
    from sandbox.ml_commons_face.documents import Index
    from sandbox.state import Stored

# A real server takes about a second for the whole way.
REGISTERED_SECONDS = 0.1
DEPLOYING_SECONDS = 0.2
PRIVATE_IP = "connector.private_ip_enabled"
# What the task of a failed deployment says, by node.
FAILED = "Fetching master key timed out."
DUPLICATE = "Duplicate deploy model task"
NOT_DEPLOYED = ("REGISTERED", "UNDEPLOYED", "DEPLOY_FAILED")


def begin(models: Index, id: str, faults: Faults, private_ip_enabled: bool) -> None:
    """What the setting says now is what 3.x holds the model to until the next deployment."""
    target = "DEPLOYED"
    if faults.take("deploy_fail"):
        target = "DEPLOY_FAILED"
    elif faults.take("deploy_partial"):
        target = "PARTIALLY_DEPLOYED"
    started = {"_deploy": {"at": time.time(), "to": target}, "_private_ip_enabled": private_ip_enabled}
    models.update(id, lambda body: body.update(started))


def look(models: Index, id: str) -> Stored | None:
    """The model as it is by now."""
    return models.update(id, _settle)


def look_at_all(models: Index) -> None:
    for stored in models.all():
        look(models, stored.id)


def hurry(models: Index, id: str) -> None:
    """Past the time before anything is to be seen of a deployment."""
    models.update(id, lambda body: body["_deploy"].update(at=body["_deploy"]["at"] - REGISTERED_SECONDS))


def complete(models: Index, id: str) -> str:
    """End a deployment under way at once; the state it ended in."""
    stored = models.update(id, _arrive)
    return str(stored.body["model_state"]) if stored else "DEPLOY_FAILED"


def is_kept(body: dict[str, Any]) -> bool:
    """Whether the node keeps a failed deployment as one under way; to the next request it is a duplicate."""
    return bool(body.get("_kept"))


def undeploy(body: dict[str, Any]) -> None:
    body.pop("_deploy", None)
    body.pop("_kept", None)
    body.pop("planning_worker_nodes", None)
    body.update(model_state="UNDEPLOYED", planning_worker_node_count=0, current_worker_node_count=0)
    body.update(last_updated_time=now_ms())


def _settle(body: dict[str, Any]) -> None:
    under_way = body.get("_deploy")
    if under_way is None:
        return
    elapsed = time.time() - under_way["at"]
    if elapsed >= REGISTERED_SECONDS + DEPLOYING_SECONDS:
        _arrive(body)
    elif elapsed >= REGISTERED_SECONDS and body["model_state"] != "DEPLOYING":
        body.update(model_state="DEPLOYING", last_updated_time=now_ms())
        _count_nodes(body, planned=1, serving=0)


def _arrive(body: dict[str, Any]) -> None:
    under_way = body.pop("_deploy", None)
    if under_way is None:
        return
    state, now = under_way["to"], now_ms()
    body.update(model_state=state, last_updated_time=now, _kept=state == "DEPLOY_FAILED")
    planned, serving = {"DEPLOYED": (1, 1), "PARTIALLY_DEPLOYED": (3, 2)}.get(state, (1, 0))
    _count_nodes(body, planned, serving)
    if serving:
        body["last_deployed_time"] = now


def _count_nodes(body: dict[str, Any], planned: int, serving: int) -> None:
    body.update(
        auto_redeploy_retry_times=0,
        planning_worker_node_count=planned,
        current_worker_node_count=serving,
        planning_worker_nodes=[NODE_ID],
        deploy_to_all_nodes=True,
    )
