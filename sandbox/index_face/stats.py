"""`_stats/docs`, of indices and of their shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.index_face.admin import NAMES, shard_counts
from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import closed, illegal_argument, not_served
from sandbox.ml_commons_face.documents import NODE_ID

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.documents import Shard
    from sandbox.index_face.index import Index


def stats(catalog: Catalog, call: Call, expression: str, metrics: str) -> Answer:
    call.check_params("level", *NAMES)
    if unknown := sorted(set(metrics.split(",")) - {"docs", "seq_no", "commit", "store"}):
        raise not_served(f"{unknown} among the statistics of an index")
    level = call.params.get("level", "indices")
    if level not in ("cluster", "indices", "shards"):
        raise illegal_argument(f"level parameter must be one of [cluster] or [indices] or [shards] but was [{level}]")
    indices = catalog.named(expression, expand=call.params.get("expand_wildcards", "open"))
    if shut := next((index for index in indices if index.is_closed), None):
        raise closed(shut.name, shut.uuid)
    asked = frozenset(metrics.split(","))
    answer: dict[str, Any] = {"_shards": shard_counts(indices), "_all": _totals(indices, asked)}
    if level != "cluster":
        answer["indices"] = {index.name: _of_index(index, asked, by_shard=level == "shards") for index in indices}
    return Answer(200, answer)


def _totals(indices: list[Index], asked: frozenset[str]) -> dict[str, Any]:
    documents = [document for index in indices for shard in index.shards for document in shard.documents.values()]
    made: dict[str, Any] = {"docs": {"count": len(documents), "deleted": 0}}
    if "store" in asked:
        size = sum(len(document.source or b"") for document in documents)
        made["store"] = {"size_in_bytes": size, "reserved_in_bytes": 0}
    return {name: made for name in ("primaries", "total")}


def _of_index(index: Index, asked: frozenset[str], *, by_shard: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"uuid": index.uuid, **_totals([index], asked)}
    if by_shard:
        made["shards"] = {str(shard.number): [_of_shard(index, shard)] for shard in index.shards}
    return made


def _of_shard(index: Index, shard: Shard) -> dict[str, Any]:
    last = shard.next_seq - 1
    user_data = {
        "history_uuid": index.histories[shard.number],
        "local_checkpoint": str(last),
        "max_seq_no": str(last),
        "max_unsafe_auto_id_timestamp": "-1",
        "min_retained_seq_no": "0",
    }
    return {
        "routing": {"state": "STARTED", "primary": True, "node": NODE_ID, "relocating_node": None},
        "docs": {"count": len(shard.documents), "deleted": 0},
        "commit": {"generation": 3, "user_data": user_data, "num_docs": len(shard.documents)},
        "seq_no": {"max_seq_no": last, "local_checkpoint": last, "global_checkpoint": last},
    }
