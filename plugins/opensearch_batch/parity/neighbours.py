"""Neighbours: what the index's own search finds, against exact search over all of its vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.parity.nested import nested_query
from opensearch_batch.parity.verdict import NEIGHBOURS, recalled

Send = Callable[[Call], Any]


def recall_of(send: Send, index: str, field: str, space: str, vector: Sequence[float], k: int, path: str = "") -> float:
    """Return the share of the nearest documents that the index finds for a vector; asks the index two or three times.
    `path` is of the nested field, where documents have many vectors: the nearest of each counts.

    Exact search costs a look at every vector of the index. Raise BatchError.
    """
    nearest = nested_query(path, {"knn": {field: {"vector": list(vector), "k": k}}})
    every = nested_query(path, _exact(field, space, vector))
    found = list(_scores(send, index, nearest, NEIGHBOURS))
    exact = _scores(send, index, every, NEIGHBOURS)
    others = [name for name in found if name not in exact]
    scores = {}
    if others:
        scores = _scores(send, index, _of_ids(others, every), len(others))
    return recalled(found, exact, scores)


def _of_ids(names: Sequence[str], query: Mapping[str, Any]) -> dict[str, Any]:
    """A filter adds nothing to a score."""
    return {"bool": {"filter": [{"ids": {"values": names}}], "must": [query]}}


def _exact(field: str, space: str, vector: Sequence[float]) -> dict[str, Any]:
    query = {"exists": {"field": field}}
    params = {"field": field, "query_value": list(vector), "space_type": space}
    return {"script_score": {"query": query, "script": {"lang": "knn", "source": "knn_score", "params": params}}}


def _scores(send: Send, index: str, query: Mapping[str, Any], size: int) -> dict[str, float]:
    body = {"query": query, "size": size, "_source": False, "track_total_hits": False}
    hits = send(documents.search_documents(index, body)).hits
    return {hit["_id"]: hit["_score"] for hit in hits}
