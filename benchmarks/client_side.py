"""opensearch-py's sides of indexing.py, in a venv of its own, and the index that all sides begin with: nothing of ours
is imported here.
"""

from __future__ import annotations

import hashlib
import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import Task

INDEX, RESULTS, MODEL_HASH = "vectors", "results.jsonl", "model.hash"
DIMENSIONS, ROWS, DOCUMENTS = 1536, 31_000, 1_000_000
THREADS, LINES_A_REQUEST = 3, 200
"""As many requests at once as ours, and as large: 4 MB."""
PATIENCE = "10m"
"""The server still merges the graphs of the side before."""
KEYWORD = {"type": "keyword"}
PROVENANCE = {"properties": {"model": KEYWORD, "text_hash": KEYWORD, "run": KEYWORD}}
METHOD = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
VECTOR = {"type": "knn_vector", "dimension": DIMENSIONS, "method": METHOD}


def ask(url: str, method: str, path: str, body: Any = None) -> Any:
    """`body` is a dict, or the lines of a bulk request."""
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
    request = urllib.request.Request(url + path, content, {"Content-Type": kind}, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=600) as answer:
        return json.loads(answer.read())


def fresh(url: str, rows: int) -> None:
    """Make the index anew, with documents 0, 1, … of one shard: document N has the sequence number N."""
    ask(url, "DELETE", f"/{INDEX}?ignore_unavailable=true&cluster_manager_timeout={PATIENCE}")
    settings = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
    fields = {"body": {"type": "text"}, "vector": VECTOR, "vector_provenance": PROVENANCE}
    made = {"settings": settings, "mappings": {"properties": fields}}
    ask(url, "PUT", f"/{INDEX}?cluster_manager_timeout={PATIENCE}", made)
    fill(url, ({"body": f"text number {number}"} for number in range(rows)))


def fill(url: str, sources: Iterator[dict[str, Any]], action: str = "index", first: int = 0, step: int = 1) -> int:
    """Write documents one request after the other; return their number."""
    lines: list[bytes] = []
    number = first
    for source in sources:
        lines += [json.dumps({action: {"_index": INDEX, "_id": str(number)}}).encode(), json.dumps(source).encode()]
        number += step
        if len(lines) >= 4000:
            _write(url, lines)
    if lines:
        _write(url, lines)
    ask(url, "POST", f"/{INDEX}/_refresh")
    return (number - first) // step


def _write(url: str, lines: list[bytes]) -> None:
    if ask(url, "POST", "/_bulk", b"\n".join(lines) + b"\n")["errors"]:
        raise RuntimeError("a document was refused")
    lines.clear()


def client(url: str) -> Any:
    """opensearch-py with orjson in place of json."""
    opensearchpy, orjson = import_module("opensearchpy"), import_module("orjson")

    class WithOrjson(opensearchpy.serializer.JSONSerializer):  # type: ignore[misc,name-defined]
        def dumps(self, data: Any) -> str:
            return data if isinstance(data, str) else str(orjson.dumps(data).decode())

        def loads(self, s: Any) -> Any:
            return orjson.loads(s)

    return opensearchpy.OpenSearch(url, serializer=WithOrjson(), timeout=600)


def write_back(task: Task) -> Work:
    orjson, bulk = import_module("orjson"), import_module("opensearchpy.helpers").parallel_bulk
    fresh(task.url, task.of(ROWS))
    connected = client(task.url)

    def actions() -> Iterator[dict[str, Any]]:
        with task.path(RESULTS).open("rb") as lines:
            for line in lines:
                row = orjson.loads(line)
                document = row["_document"]
                made_from = {"model": "text-embedding-3-small", "text_hash": row["_text_hash"], "run": "night"}
                yield {
                    "_op_type": "update", "_index": document["index"], "_id": document["id"],
                    "if_seq_no": document["seq_no"], "if_primary_term": document["primary_term"],
                    "doc": {"vector_provenance": made_from, "vector": row["embedding"]},
                }  # fmt: skip

    def work() -> dict[str, Any]:
        answers = bulk(connected, actions(), thread_count=THREADS, chunk_size=LINES_A_REQUEST, raise_on_error=False)
        return {"written": sum(good for good, _ in answers)}

    return work


def night(task: Task) -> Work:
    """Every document is read, and its text hashed."""
    scan = import_module("opensearchpy.helpers").scan
    connected, key = client(task.url), task.path(MODEL_HASH).read_bytes()
    wanted = ["body", "vector_provenance.text_hash"]

    def work() -> dict[str, Any]:
        changed = 0
        with counted() as received:
            for hit in scan(connected, index=INDEX, size=1000, _source=wanted):
                source = hit["_source"]
                hashed = hashlib.blake2b(source["body"].encode(), digest_size=16, key=key).hexdigest()
                changed += source["vector_provenance"]["text_hash"] != hashed
        return {"changed": changed, "bytes": received[0]}

    return work


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the bytes that this process receives."""
    received, plain, into = [0], socket.socket.recv, socket.socket.recv_into

    def recv(self: socket.socket, *given: Any) -> bytes:
        found = plain(self, *given)
        received[0] += len(found)
        return found

    def recv_into(self: socket.socket, *given: Any) -> int:
        count = into(self, *given)
        received[0] += count
        return count

    socket.socket.recv, socket.socket.recv_into = recv, recv_into  # type: ignore[assignment,method-assign]
    try:
        yield received
    finally:
        socket.socket.recv, socket.socket.recv_into = plain, into  # type: ignore[method-assign]
