"""The cluster's one node: memory, heap and disk as it tells of them, and the graphs that k-NN keeps in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import not_served
from sandbox.ml_commons_face.documents import NODE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMORY_BYTES = 16 << 30
DISK_BYTES, AVAILABLE_BYTES = 200 << 30, 80 << 30
ROLES = ["cluster_manager", "data", "ingest", "remote_cluster_client"]
WHOLE = {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": "sandbox"}


def node_stats(call: Call, metrics: str, heap_bytes: int) -> Answer:
    call.check_params("timeout")
    told: Mapping[str, Any] = {
        "os": {"mem": {"total_in_bytes": MEMORY_BYTES}},
        "jvm": {"mem": {"heap_max_in_bytes": heap_bytes}},
        "fs": {"total": {"total_in_bytes": DISK_BYTES, "available_in_bytes": AVAILABLE_BYTES}},
    }
    return Answer(200, {**WHOLE, "nodes": {NODE_ID: {"roles": ROLES, **_chosen(told, metrics, "nodes")}}})


def graph_stats(call: Call, names: str) -> Answer:
    """Lucene's graphs are in none of these, and the sandbox has no others."""
    call.check_params("timeout")
    cluster: Mapping[str, Any] = {"circuit_breaker_triggered": False}
    of_node: Mapping[str, Any] = {"indices_in_cache": {}, "graph_memory_usage": 0}
    found = _chosen({**cluster, **of_node}, names, "k-NN")
    top = {name: value for name, value in found.items() if name in cluster}
    below = {name: value for name, value in found.items() if name in of_node}
    return Answer(200, {**WHOLE, **top, "nodes": {NODE_ID: below} if below else {}})


def _chosen(told: Mapping[str, Any], names: str, of: str) -> dict[str, Any]:
    wanted = names.split(",")
    if unknown := sorted(set(wanted) - set(told)):
        raise not_served(f"{unknown} among the statistics of {of}; it knows {', '.join(sorted(told))}")
    return {name: told[name] for name in wanted}
