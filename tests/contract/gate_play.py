"""The calls of the parity gate and of the preflight's look at a cluster's room, in the order of the recording.

A call without `kept` prepares those after it; `masks` are numbers of one machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

METHOD = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
MAPPING = {
    "dynamic": "strict",
    "properties": {
        "t": {"type": "text"},
        "p": {"properties": {"model": {"type": "keyword"}}},
        "v": {"type": "knn_vector", "dimension": 4, "method": METHOD},
    },
}
SIZES = frozenset({"total_in_bytes", "free_in_bytes", "available_in_bytes", "heap_max_in_bytes", "size_in_bytes"})
ROOM = (
    "/_nodes/stats/os,jvm,fs?filter_path=nodes.*.roles,nodes.*.os.mem.total_in_bytes,"
    "nodes.*.jvm.mem.heap_max_in_bytes,nodes.*.fs.total.total_in_bytes,nodes.*.fs.total.available_in_bytes"
)
LIMITS = (
    "/_cluster/settings?include_defaults=true&filter_path=*.knn.memory.circuit_breaker.enabled,"
    "*.knn.memory.circuit_breaker.limit,*.cluster.blocks.read_only,*.cluster.routing.allocation.disk.threshold_enabled,"
    "*.cluster.routing.allocation.disk.watermark.flood_stage"
)
GRAPHS = "/_plugins/_knn/stats/indices_in_cache,circuit_breaker_triggered?filter_path=nodes.*.indices_in_cache"
SIZE = "/gate/_stats/docs,store?filter_path=indices.*.primaries.docs.count,indices.*.total.store.size_in_bytes"


@dataclass(frozen=True)
class Step:
    name: str
    method: str
    path: str
    body: Any = None
    kept: bool = True
    masks: frozenset[str] = field(default_factory=frozenset)


def sample(seed: int, size: int = 20, **query: Any) -> dict[str, Any]:
    order = {"random_score": {"seed": seed, "field": "_seq_no"}, "boost_mode": "replace"}
    found = query or {"bool": {"filter": [{"term": {"p.model": "m"}}, {"exists": {"field": "v"}}]}}
    return {"query": {"function_score": {"query": found, **order}}, "size": size, "_source": ["t"]}


def exact(query: dict[str, Any], size: int = 3) -> dict[str, Any]:
    params = {"field": "v", "query_value": [1.0, 0.5, 0.25, 0.0], "space_type": "cosinesimil"}
    scored = {"query": query, "script": {"lang": "knn", "source": "knn_score", "params": params}}
    return {"query": {"script_score": scored}, "size": size, "_source": False}


def _documents() -> str:
    lines: list[dict[str, Any]] = []
    for n in range(24):
        lines.append({"index": {"_index": "gate", "_id": f"d{n}"}})
        vector: dict[str, Any] = {"v": [1.0 + n, 2.0, 3.0 - n, 0.5 * n]} if n % 4 else {}
        lines.append({"t": f"text {n}", "p": {"model": "m" if n % 3 else "other"}, **vector})
    return "".join(f"{json.dumps(line)}\n" for line in lines)


NEAREST = {"knn": {"v": {"vector": [1.0, 0.5, 0.25, 0.0], "k": 100}}}
TRANSIENT = "/_cluster/settings"

STEPS = [
    Step("gate-delete", "DELETE", "/gate", kept=False),
    Step(
        "gate-create",
        "PUT",
        "/gate",
        {"settings": {"index": {"knn": True, "number_of_shards": 3, "number_of_replicas": 0}}, "mappings": MAPPING},
    ),
    Step("gate-documents", "POST", "/_bulk?refresh=true&filter_path=errors", _documents()),
    Step("gate-sample", "POST", "/gate/_search", sample(7)),
    Step("gate-sample-again", "POST", "/gate/_search", sample(7)),
    Step("gate-sample-another-seed", "POST", "/gate/_search", sample(-123456789)),
    Step("gate-sample-of-few", "POST", "/gate/_search", sample(2_000_000_000, size=5)),
    Step("gate-sample-of-all", "POST", "/gate/_search", sample(1, match_all={})),
    Step("gate-nearest", "POST", "/gate/_search", {"size": 3, "_source": False, "query": NEAREST}),
    Step("gate-exact", "POST", "/gate/_search", exact({"exists": {"field": "v"}})),
    Step("gate-exact-of-ids", "POST", "/gate/_search", exact({"ids": {"values": ["d1", "d5", "d9"]}})),
    Step("gate-exact-where-none-has-one", "POST", "/gate/_search", exact({"ids": {"values": ["d0", "d4"]}})),
    Step("gate-vectors", "POST", "/_mget", {"docs": [
        {"_index": "gate", "_id": "d1", "_source": ["v"]}, {"_index": "gate", "_id": "d0", "_source": ["v"]},
    ]}),
    Step("gate-size", "GET", SIZE, masks=SIZES),
    Step("gate-nodes", "GET", ROOM, masks=SIZES),
    Step("gate-graphs", "GET", GRAPHS),
    Step("gate-all-graph-stats", "GET", GRAPHS.partition("?")[0], masks=frozenset({"cluster_name"})),
    Step("gate-limits", "GET", LIMITS),
    Step("gate-limit-put", "PUT", TRANSIENT, {"persistent": {"knn.memory.circuit_breaker.limit": "1kb"}}),
    Step("gate-limits-set", "GET", LIMITS),
    Step("gate-limit-percent", "PUT", TRANSIENT, {"persistent": {"knn.memory.circuit_breaker.limit": "60%"}}),
    Step("gate-flood", "PUT", TRANSIENT,
         {"transient": {"cluster.routing.allocation.disk.watermark.low": "3gb",
                        "cluster.routing.allocation.disk.watermark.high": "2gb",
                        "cluster.routing.allocation.disk.watermark.flood_stage": "1gb"}}),
    Step("gate-limits-of-both", "GET", LIMITS),
    Step("gate-limits-flat", "GET", f"{TRANSIENT}?flat_settings=true"),
    Step("gate-limits-away", "PUT", TRANSIENT, {
        "persistent": {"knn.memory.circuit_breaker.limit": None},
        "transient": {"cluster.routing.allocation.disk.watermark.low": None,
                      "cluster.routing.allocation.disk.watermark.high": None,
                      "cluster.routing.allocation.disk.watermark.flood_stage": None},
    }),
    Step("gate-close", "POST", "/gate/_close"),
    Step("gate-closed-stats", "GET", "/gate/_stats/docs?level=shards"),
    Step("gate-closed-size", "GET", SIZE),
    Step("gate-closed-search", "POST", "/gate/_search", {}),
    Step("gate-open", "POST", "/gate/_open"),
]  # fmt: skip
