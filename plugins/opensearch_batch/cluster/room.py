"""What a cluster tells of its room: memory and disk of its nodes, the graphs in memory, and the settings over both.

What two releases answer to each of these calls is recorded in tests/contract/exchanges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from opensearch_batch.cluster.ml_commons import Call

_OF_NODES = (
    "nodes.*.roles,nodes.*.os.mem.total_in_bytes,nodes.*.jvm.mem.heap_max_in_bytes,nodes.*.fs.total.total_in_bytes,"
    "nodes.*.fs.total.available_in_bytes"
)
LIMIT = "knn.memory.circuit_breaker.limit"
BREAKER = "knn.memory.circuit_breaker.enabled"
READ_ONLY = "cluster.blocks.read_only"
WATCHED = "cluster.routing.allocation.disk.threshold_enabled"
FLOOD_STAGE = "cluster.routing.allocation.disk.watermark.flood_stage"
_SETTINGS = (BREAKER, LIMIT, READ_ONLY, WATCHED, FLOOD_STAGE)


@dataclass(frozen=True)
class DataNode:
    """Bytes. `available` are those of its disks that the server may still take."""

    memory: int
    heap: int
    disk: int
    available: int


@dataclass(frozen=True)
class IndexSize:
    """Documents of the primary shards, and bytes on disk of all copies."""

    documents: int
    stored: int


def data_nodes() -> Call:
    """Parses to the DataNodes, which hold shards. Needs cluster:monitor/nodes/stats."""
    path = f"/_nodes/stats/os,jvm,fs?{urlencode({'filter_path': _OF_NODES})}"
    return Call("read the nodes' memory and disk", "GET", path, None, _nodes, "read", timeout_seconds=30)


def room_settings() -> Call:
    """Parses to the settings in effect by name, as text. Needs cluster:monitor/state."""
    wanted = {"include_defaults": "true", "filter_path": ",".join(f"*.{name}" for name in _SETTINGS)}
    path = f"/_cluster/settings?{urlencode(wanted)}"
    return Call("read the cluster's settings", "GET", path, None, _effective, "read", timeout_seconds=30)


def graphs_in_memory() -> Call:
    """Parses to bytes by index: graphs of the native engines, of all nodes. Needs cluster:admin/knn_stats_action."""
    path = f"/_plugins/_knn/stats/indices_in_cache?{urlencode({'filter_path': 'nodes.*.indices_in_cache'})}"
    return Call("read what k-NN keeps in memory", "GET", path, None, _graphs, "read", timeout_seconds=30)


def index_size(index: str) -> Call:
    """Parses to an IndexSize."""
    wanted = {"filter_path": "indices.*.primaries.docs.count,indices.*.total.store.size_in_bytes"}
    path = f"/{quote(index, safe='*-_.')}/_stats/docs,store?{urlencode(wanted)}"
    return Call(f"read the size of {index}", "GET", path, None, _size, "read", timeout_seconds=30)


def _nodes(answer: Any) -> list[DataNode]:
    return [
        DataNode(
            node["os"]["mem"]["total_in_bytes"],
            node["jvm"]["mem"]["heap_max_in_bytes"],
            node["fs"]["total"]["total_in_bytes"],
            node["fs"]["total"]["available_in_bytes"],
        )
        for node in answer["nodes"].values()
        if any(role.startswith("data") for role in node["roles"])
    ]


def _effective(answer: Any) -> dict[str, str]:
    found = {}
    for scope in ("defaults", "persistent", "transient"):
        for name in _SETTINGS:
            value = _at(answer.get(scope) or {}, name)
            if value is not None:
                found[name] = str(value)
    return found


def _at(tree: Mapping[str, Any], name: str) -> Any:
    value: Any = tree
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _graphs(answer: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in answer.get("nodes", {}).values():
        for index, about in node["indices_in_cache"].items():
            found[index] = found.get(index, 0) + int(about["graph_memory_usage"] * 1024)
    return found


def _size(answer: Any) -> IndexSize:
    (about,) = answer["indices"].values()
    return IndexSize(about["primaries"]["docs"]["count"], about["total"]["store"]["size_in_bytes"])
