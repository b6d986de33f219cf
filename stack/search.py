"""Plain questions over the result files: embedded by the cluster's own ``_predict``, ranked by cosine."""

from __future__ import annotations

import heapq
import itertools
import json
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from stack.processes import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

QUESTIONS = (
    "count how often each element occurs",
    "make a temporary directory that is removed afterwards",
    "convert a string to a datetime",
    "run a command and capture its output",
    "compare two sequences and show the differences",
)
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, order=True)
class Hit:
    score: float
    id: str


def embed(cluster_url: str, model_id: str, parameters: dict[str, Any]) -> list[float]:
    """By the model the run used, registered in the cluster."""
    path = f"/_plugins/_ml/models/{urllib.parse.quote(model_id, safe='')}/_predict"
    with httpx.Client(base_url=cluster_url, trust_env=False, timeout=60) as client:
        answer = client.post(path, json={"parameters": parameters})
    if answer.is_error:
        raise StackError(f"POST {path}: HTTP {answer.status_code} {answer.text[:500]}")
    return _vector(answer.json())


def nearest(files: Iterable[Path], questions: Sequence[Sequence[float]], count: int) -> list[list[Hit]]:
    """For each question the ``count`` best rows, best first; reads the files once, a thousand rows at a time."""
    wanted = _unit(np.asarray(questions, dtype=np.float32))
    best: list[list[Hit]] = [[] for _ in questions]
    for rows in _batched(_rows(files)):
        vectors = _unit(np.asarray([row["embedding"] for row in rows], dtype=np.float32))
        for kept, scores in zip(best, wanted @ vectors.T, strict=True):
            top = np.argsort(scores)[-count:]
            kept[:] = heapq.nlargest(count, [*kept, *(Hit(float(scores[i]), str(rows[i]["id"])) for i in top)])
    return best


def local_path(uri: str) -> Path:
    """Of a ``file://`` URI; a plain path is one too."""
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.parse.unquote(parts.path)) if parts.scheme == "file" else Path(uri)


def _vector(answer: dict[str, Any]) -> list[float]:
    """ML Commons' output tensor, or under ``dataAsMap`` the provider's answer as it came.

    Which of the two: whether the connector's ``predict`` action names a post-processing function.
    """
    output = answer["inference_results"][0]["output"][0]
    vector = output["dataAsMap"]["data"][0]["embedding"] if "dataAsMap" in output else output["data"]
    return [float(number) for number in vector]


def _rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        with path.open("rb") as lines:
            yield from (json.loads(line) for line in lines)


def _batched(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while some := list(itertools.islice(rows, ROWS_AT_ONCE)):
        yield some


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
