"""Plain questions to the index: embedded by the cluster's own ``_predict``, answered by its k-NN search."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from stack.processes import StackError

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS = (
    "count how often each element occurs",
    "make a temporary directory that is removed afterwards",
    "convert a string to a datetime",
    "run a command and capture its output",
    "compare two sequences and show the differences",
)
VECTOR_FIELD = "embedding"
WIDTH = 100
"""Neighbours that a search looks at: 2.x finds no more than it is asked for, and misses near ones with few."""


@dataclass(frozen=True, order=True)
class Hit:
    score: float
    id: str


def embed(cluster_url: str, model_id: str, parameters: dict[str, Any]) -> list[float]:
    """By the model the run used, registered in the cluster."""
    path = f"/_plugins/_ml/models/{urllib.parse.quote(model_id, safe='')}/_predict"
    return _vector(_post(cluster_url, path, {"parameters": parameters}))


def nearest(cluster_url: str, index: str, question: Sequence[float], count: int) -> list[Hit]:
    """The ``count`` best documents by the cluster's own k-NN search, best first, with the cosine as score."""
    body = {
        "size": count,
        "_source": False,
        "query": {"knn": {VECTOR_FIELD: {"vector": list(question), "k": WIDTH}}},
    }
    path = f"/{urllib.parse.quote(index, safe='')}/_search"
    found = _post(cluster_url, path, body)["hits"]["hits"]
    return [Hit(2 * hit["_score"] - 1, str(hit["_id"])) for hit in found]


def local_path(uri: str) -> Path:
    """Of a ``file://`` URI; a plain path is one too."""
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.parse.unquote(parts.path)) if parts.scheme == "file" else Path(uri)


def place(uri: str) -> str:
    """As a person looks for it: the path of a file, the URI of what lies elsewhere."""
    return str(local_path(uri)) if urllib.parse.urlsplit(uri).scheme in ("", "file") else uri


def _vector(answer: dict[str, Any]) -> list[float]:
    """ML Commons' output tensor, or under ``dataAsMap`` the provider's answer as it came.

    Which of the two: whether the connector's ``predict`` action names a post-processing function.
    """
    output = answer["inference_results"][0]["output"][0]
    vector = output["dataAsMap"]["data"][0]["embedding"] if "dataAsMap" in output else output["data"]
    return [float(number) for number in vector]


def _post(url: str, path: str, body: dict[str, Any]) -> Any:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        answer = client.post(path, json=body)
    if answer.is_error:
        raise StackError(f"POST {path}: HTTP {answer.status_code} {answer.text[:500]}")
    return answer.json()
