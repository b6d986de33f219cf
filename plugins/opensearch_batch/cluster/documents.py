"""The OpenSearch REST API of documents as values: indices, points in time, bulk writes. Every function returns a Call.

Paths and bodies: https://docs.opensearch.org/latest/api-reference/. What two releases answer to each of these calls is
recorded in tests/contract/exchanges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.scrubbing import scrubbed

KEEP_ALIVE = "10m"
"""Of a point in time, renewed by each page. The server closes an ended one within a minute."""

_OF_SHARDS = (
    "_shards.failed,indices.*.uuid,indices.*.shards.*.routing.primary,indices.*.shards.*.seq_no.global_checkpoint,"
    "indices.*.shards.*.commit.user_data.history_uuid"
)
_OF_ITEMS = (
    "errors,items.*.status,items.*._seq_no,items.*._primary_term,items.*.error.type,items.*.error.reason,"
    "items.*.error.caused_by.reason"
)


@dataclass(frozen=True)
class Page:
    """Hits of a search, and the id of the point in time for the next page."""

    hits: list[dict[str, Any]]
    point_in_time: str | None
    failed_shards: int


@dataclass(frozen=True)
class BulkItem:
    """What became of an action of a bulk request, in the order of the actions; `type` and `reason` of its error. Of a
    document that was written, or is as it was to be, the numbers of its version.
    """

    status: int
    type: str = ""
    reason: str = ""
    seq_no: int = -1
    primary_term: int = 0


@dataclass(frozen=True)
class Found:
    """A document asked for by id: its source, None where there is no such document; or why it could not be read."""

    source: dict[str, Any] | None
    error: str = ""


def describe_indices(name: str, states: str = "") -> Call:
    """Describe an index, or each index of an alias; parses to {concrete index: {aliases, mappings, settings}}.

    A pattern stands for open indices that are not hidden, or for those of other `states`, e.g. "closed,hidden". Source:
    https://docs.opensearch.org/latest/api-reference/index-apis/get-index/
    """
    how = f"?{urlencode({'expand_wildcards': states})}" if states else ""
    return Call(f"describe index {name}", "GET", f"/{_path(name)}{how}", purpose="read")


def shard_states(name: str) -> Call:
    """Parses to {index: {"uuid", "shards": {number: (history_uuid, global checkpoint)}}} of the primary shards."""
    path = f"/{_path(name)}/_stats/docs?{urlencode({'level': 'shards', 'filter_path': _OF_SHARDS})}"
    return Call(f"read the shards of {name}", "GET", path, parse=_shards, purpose="read")


def open_point_in_time(index: str) -> Call:
    """Open a point in time of all primary shards; parses to its id. A replica may lag behind the checkpoints."""
    how = {"keep_alive": KEEP_ALIVE, "preference": "_primary", "allow_partial_pit_creation": "false"}
    path = f"/{_path(index)}/_search/point_in_time?{urlencode(how)}"
    return Call(f"open a point in time of {index}", "POST", path, parse=_pit_id, purpose="read")


def close_point_in_time(pit_id: str) -> Call:
    return Call("close a point in time", "DELETE", "/_search/point_in_time", {"pit_id": [pit_id]})


def search_point_in_time(body: Mapping[str, Any]) -> Call:
    """Search without partial results: a shard that fails makes the search fail."""
    path = "/_search?allow_partial_search_results=false"
    return Call("read a page of documents", "POST", path, body, _page, "read", timeout_seconds=120)


def search_documents(index: str, body: Mapping[str, Any]) -> Call:
    """Search an index, or several with commas between, without partial results."""
    path = f"/{_path(index)}/_search?allow_partial_search_results=false"
    return Call(f"search {index}", "POST", path, body, _page, "read", timeout_seconds=120)


def search_primaries(index: str, body: Mapping[str, Any]) -> Call:
    """As `search_documents`, of the primary shards: a replica may lag behind what was read in a point in time."""
    path = f"/{_path(index)}/_search?allow_partial_search_results=false&preference=_primary"
    return Call(f"search {index}", "POST", path, body, _page, "read", timeout_seconds=120)


def count_documents(index: str, query: Mapping[str, Any]) -> Call:
    """Parses to a number."""
    path = f"/{_path(index)}/_count"
    return Call(f"count documents of {index}", "POST", path, {"query": query}, _count, "read")


def bulk(actions: bytes) -> Call:
    """Write the lines of a bulk body; parses to BulkItems. May be sent again where every action has a condition."""
    path = f"/_bulk?{urlencode({'filter_path': _OF_ITEMS})}"
    return Call("write documents", "POST", path, parse=_items, timeout_seconds=120, lines=actions)


def get_documents(wanted: Sequence[Mapping[str, Any]]) -> Call:
    """Get documents by {_index, _id, routing, _source}; parses to Found in the same order."""
    return Call("get documents", "POST", "/_mget", {"docs": list(wanted)}, _found, "read")


def create_index(index: str, body: Mapping[str, Any]) -> Call:
    return Call(f"create index {index}", "PUT", f"/{_path(index)}", body)


def put_mapping(index: str, mapping: Mapping[str, Any]) -> Call:
    return Call(f"add fields to index {index}", "PUT", f"/{_path(index)}/_mapping", mapping)


def refresh(index: str) -> Call:
    """Raise where a shard has failed: its last writes are not seen. A replica that lies on no node is no failure."""
    return Call(f"refresh index {index}", "POST", f"/{_path(index)}/_refresh", parse=_refreshed)


def _path(name: str) -> str:
    return quote(name, safe=",*-_.")


def _pit_id(answer: Any) -> str:
    return str(answer["pit_id"])


def _refreshed(answer: Any) -> None:
    if failed := answer["_shards"]["failed"]:
        raise ValueError(f"{failed} shards failed")


def _count(answer: Any) -> int:
    if answer["_shards"]["failed"]:
        raise ValueError("a shard failed")
    return int(answer["count"])


def _page(answer: Any) -> Page:
    return Page(answer["hits"]["hits"], answer.get("pit_id"), answer["_shards"]["failed"] + bool(answer["timed_out"]))


def _shards(answer: Any) -> dict[str, Any]:
    return {
        index: {
            "uuid": found["uuid"],
            "shards": {
                number: (copy["commit"]["user_data"]["history_uuid"], copy["seq_no"]["global_checkpoint"])
                for number, copies in found["shards"].items()
                for copy in copies
                if copy["routing"]["primary"]
            },
        }
        for index, found in answer.get("indices", {}).items()  # none of an index without a primary shard
    }


def _items(answer: Any) -> list[BulkItem]:
    return [_item(next(iter(item.values()))) for item in answer["items"]]


def _item(item: Mapping[str, Any]) -> BulkItem:
    error = item.get("error") or {}
    cause = (error.get("caused_by") or {}).get("reason")
    said = error.get("reason") or ""  # null where the server's exception had no words
    reason = f"{said}: {cause}" if cause else said
    numbers = item.get("_seq_no", -1), item.get("_primary_term", 0)
    return BulkItem(item["status"], error.get("type", ""), scrubbed(reason), *numbers)


def _found(answer: Any) -> list[Found]:
    return [
        Found(document.get("_source", {}) if document.get("found") else None, _reason(document.get("error")))
        for document in answer["docs"]
    ]


def _reason(error: Mapping[str, Any] | None) -> str:
    return "" if error is None else scrubbed(f"{error.get('type')}: {error.get('reason')}")
