"""What a cluster of several nodes, or one with the Security plugin, answers now and then: ordered by name as a fault.

Statuses, types and reasons are those of real servers: three nodes of 2.19.6, and 2.19.1 with Security. `failed_shards`
is the shape OpenSearch gives to any search whose shards failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.ml_commons_face.errors import OpenSearchError

if TYPE_CHECKING:
    from collections.abc import Callable

ML = "/_plugins/_ml"
TASK_INDEX = ".plugins-ml-task"
CAN_NOT_WRITE = "can not write type [class org.opensearch.ml.common.MLTaskState]"
NOBODY = "User [name=sandbox, backend_roles=[], requestedTenant=null]"
# Method and end of the path, and the permission the Security plugin asks for; the first that fits.
# https://docs.opensearch.org/latest/security/access-control/permissions/
PERMISSIONS = (
    ("POST", "/connectors/_create", "cluster:admin/opensearch/ml/create_connector"),
    ("POST", "/model_groups/_register", "cluster:admin/opensearch/ml/register_model_group"),
    ("POST", "/models/_register", "cluster:admin/opensearch/ml/register_model"),
    ("POST", "/_deploy", "cluster:admin/opensearch/ml/deploy_model"),
    ("POST", "/_undeploy", "cluster:admin/opensearch/ml/undeploy_models"),
    ("POST", "predict", "cluster:admin/opensearch/ml/predict"),
    ("POST", "/_cancel", "cluster:admin/opensearch/ml/tasks/cancel"),
)
VERBS = {"GET": "get", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True)
class Answer:
    """`body` is sent as JSON, text as text/plain."""

    status: int
    body: dict[str, Any] | str
    headers: dict[str, str]


@dataclass(frozen=True)
class Trouble:
    """What it does, the calls it happens to unless the order names a path of its own (regular expressions), and what
    they get.
    """

    does: str
    method: str | None
    path: str
    answer: Callable[[str, str], Answer]


def _error(error: OpenSearchError) -> Answer:
    return Answer(error.status, error.to_dict(), {})


def _no_task_copy(method: str, path: str) -> Answer:
    """2.18 to 3.2: the check of the task limit sends an enum to the node that holds the index, and cannot write it."""
    cause = {"type": "illegal_argument_exception", "reason": CAN_NOT_WRITE}
    shard = {"shard": 0, "index": TASK_INDEX, "node": "sandboxNodeIdBBBBBBBBB", "reason": cause}
    error = {
        "root_cause": [cause],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": True,
        "failed_shards": [shard],
        "caused_by": {**cause, "caused_by": cause},
    }
    return Answer(400, {"error": error, "status": 400}, {})


def _master_key_timeout(method: str, path: str) -> Answer:
    return _error(OpenSearchError(500, "m_l_exception", "Fetching master key timed out."))


def _unauthorized(method: str, path: str) -> Answer:
    return Answer(401, "Unauthorized", {"www-authenticate": 'Basic realm="OpenSearch Security"'})


def _not_initialized(method: str, path: str) -> Answer:
    return Answer(503, "OpenSearch Security not initialized.", {})


def _forbidden(method: str, path: str) -> Answer:
    reason = f"no permissions for [{_permission(method, path)}] and {NOBODY}"
    return _error(OpenSearchError(403, "security_exception", reason))


def _not_your_job(method: str, path: str) -> Answer:
    """For good, however often it is asked: the model group is another team's."""
    verb = "cancel" if path.endswith("/_cancel") else "access"
    return _error(
        OpenSearchError(500, "m_l_validation_exception", f"You don't have permission to {verb} this batch job")
    )


def _permission(method: str, path: str) -> str:
    for wanted, end, permission in PERMISSIONS:
        if method == wanted and path.endswith(end):
            return permission
    if not path.startswith(ML):
        return "cluster:monitor/main"
    kind = path.removeprefix(ML).strip("/").partition("/")[0]
    verb = "search" if path.endswith("/_search") else VERBS.get(method, "execute")
    return f"cluster:admin/opensearch/ml/{kind}/{verb}"


def _bulk_rejected(method: str, path: str) -> Answer:
    """The memory of writes under way is used up; the same body is taken a moment later."""
    words = "coordinating_and_primary_bytes=51000000, replica_bytes=0, all_bytes=51000000"
    more = "coordinating_operation_bytes=1000000, max_coordinating_and_primary_bytes=51897958"
    reason = f"rejected execution of coordinating operation [{words}, {more}]"
    return _error(OpenSearchError(429, "rejected_execution_exception", reason))


BULK = r"^(/[^_/][^/]*)?/_bulk$"
_CLUSTER = r"^/(_plugins/|_cluster/|$)"
TROUBLES: dict[str, Trouble] = {
    "node_without_tasks": Trouble(
        "A submission meets a node without a copy of the task index (2.18 to 3.2): 400, and nothing is sent on.",
        "POST",
        rf"^{ML}/models/[^/]+/_batch_predict$",
        _no_task_copy,
    ),
    "master_key_timeout": Trouble(
        "A fresh node does not have the key for credentials yet: 500.",
        "POST",
        rf"^{ML}/connectors/_create$",
        _master_key_timeout,
    ),
    "bulk_rejected": Trouble(
        "A `_bulk` is refused whole, 429: the cluster has too much to write.", None, BULK, _bulk_rejected
    ),
    "security_unauthorized": Trouble("The Security plugin knows no such login: 401.", None, _CLUSTER, _unauthorized),
    "security_starting": Trouble("The Security plugin is still starting: 503.", None, _CLUSTER, _not_initialized),
    "security_forbidden": Trouble("The login lacks the call's permission: 403.", None, _CLUSTER, _forbidden),
    "security_not_your_job": Trouble(
        "The task's model group is another team's: 500 on status reads and cancels.",
        None,
        rf"^{ML}/tasks/((?!_search$)[^/]+|[^/]+/_cancel)$",
        _not_your_job,
    ),
}
