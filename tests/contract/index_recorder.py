"""Records what a real server answers to calls about chunks: `python -m tests.contract.index_recorder VERSION URL`.

The lines go to the end of exchanges/VERSION-index.jsonl, in place of those of an earlier recording.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract.recordings import FOLDER

FIRST = 701
"""Number of the first line."""
VECTOR = {
    "type": "knn_vector",
    "dimension": 4,
    "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
}
CHUNK = {
    "text": {"type": "text"},
    "text_hash": {"type": "keyword"},
    "start": {"type": "integer"},
    "end": {"type": "integer"},
    "embedding": VECTOR,
}


@dataclass(frozen=True)
class Asked:
    name: str
    method: str
    path: str
    body: Any = None


def chunk(number: int, *vector: float) -> dict[str, Any]:
    made = {"text": f"passage {number}", "text_hash": f"h{number}", "start": number, "end": number + 1}
    return {**made, **({"embedding": list(vector)} if vector else {})}


def lines(*values: Any) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def nested(query: Any, **more: Any) -> dict[str, Any]:
    return {"query": {"nested": {"path": "chunks", "query": query, **more}}, "_source": ["title"]}


def nearest(*vector: float, k: int = 10, **more: Any) -> dict[str, Any]:
    return {"knn": {"chunks.embedding": {"vector": list(vector), "k": k, **more}}}


def update(document: str, seq_no: int, chunks: list[Any]) -> str:
    head = {"_index": "essays", "_id": document, "if_seq_no": seq_no, "if_primary_term": 1}
    return lines({"update": head}, {"doc": {"chunks": chunks}})


SETTINGS = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
WANTED = {"_source": ["chunks.text", "chunks.start"]}
SEARCH = "/essays/_search"
CALLS = [
    Asked("an index", "PUT", "/essays", {
        "settings": SETTINGS, "mappings": {"dynamic": "strict", "properties": {"title": {"type": "keyword"}}}}),
    Asked("the nested field of chunks", "PUT", "/essays/_mapping", {
        "properties": {"chunks": {"type": "nested", "properties": CHUNK}}}),
    Asked("its mapping", "GET", "/essays/_mapping"),
    Asked("four documents", "POST", "/_bulk?refresh=true", lines(
        *(line for n in "abcd" for line in ({"index": {"_index": "essays", "_id": n}}, {"title": n})))),
    Asked("three chunks of one", "POST", "/_bulk?refresh=true", update("a", 0, [
        chunk(1, 1, 0, 0, 0), chunk(2, 0.9, 0.1, 0, 0), chunk(3, 0, 0, 1, 0)])),
    Asked("two chunks, the first without a vector", "POST", "/_bulk?refresh=true", update("b", 1, [
        chunk(4), chunk(5, 0.5, 0.5, 0, 0)])),
    Asked("one chunk", "POST", "/_bulk?refresh=true", update("c", 2, [chunk(6, 0, 1, 0, 0)])),
    Asked("over another version", "POST", "/_bulk?refresh=true", update("c", 2, [chunk(7, 1, 1, 1, 1)])),
    Asked("the array is replaced", "POST", "/_bulk?refresh=true", update("c", 6, [chunk(8, 0, 0.2, 1, 0)])),
    Asked("a document with chunks", "GET", "/essays/_doc/c"),
    Asked("a field that no chunk has", "POST", "/_bulk", update("d", 3, [{"page": 1}])),
    Asked("a vector that is too short", "POST", "/_bulk", update("d", 3, [chunk(9, 1, 2)])),
    Asked("a zero vector", "POST", "/_bulk", update("d", 3, [chunk(9, 0, 0, 0, 0)])),
    Asked("documents with a vector", "POST", "/essays/_count", {
        "query": {"nested": {"path": "chunks", "query": {"exists": {"field": "chunks.embedding"}}}}}),
    Asked("the nearest", "POST", SEARCH, nested(nearest(1, 0, 0, 0), score_mode="max", inner_hits=WANTED)),
    Asked("the nearest without inner hits", "POST", SEARCH, nested(nearest(1, 0, 0, 0), score_mode="max")),
    Asked("the nearest one", "POST", SEARCH, nested(nearest(0, 0, 1, 0, k=1), inner_hits=WANTED)),
    Asked("the nearest two", "POST", SEARCH, nested(nearest(1, 0, 0, 0, k=2), inner_hits=WANTED)),
    Asked("inner hits by name", "POST", SEARCH, nested(
        nearest(1, 0, 0, 0), inner_hits={"name": "passages", "_source": False, "size": 1})),
    Asked("inner hits whole", "POST", SEARCH, nested(nearest(0, 0, 1, 0, k=1), inner_hits={})),
    Asked("inner hits without vectors", "POST", SEARCH, nested(
        nearest(0, 0, 1, 0, k=1), inner_hits={"_source": {"excludes": ["chunks.embedding"]}})),
    Asked("all chunks", "POST", SEARCH, nested({"match_all": {}}, inner_hits={**WANTED, "size": 2})),
    Asked("all chunks from the second", "POST", SEARCH, nested({"match_all": {}}, inner_hits={**WANTED, "from": 1})),
    Asked("more inner hits than allowed", "POST", SEARCH, nested({"match_all": {}}, inner_hits={"size": 101})),
    Asked("a query vector that is too short", "POST", SEARCH, nested(nearest(1, 2))),
    Asked("no nested field", "POST", SEARCH, {
        "query": {"nested": {"path": "title", "query": {"match_all": {}}, "inner_hits": {}}}}),
    Asked("two nested queries of one name", "POST", SEARCH, {"query": {"bool": {"should": [
        nested({"match_all": {}}, inner_hits={})["query"], nested({"match_all": {}}, inner_hits={})["query"]]}}}),
    Asked("at most two nested objects", "PUT", "/essays/_settings", {"index.mapping.nested_objects.limit": 2}),
    Asked("three nested objects", "POST", "/_bulk", update("d", 3, [chunk(n) for n in range(3)])),
    Asked("two nested objects", "POST", "/_bulk?refresh=true", update("d", 3, [chunk(n) for n in range(2)])),
    Asked("at most one nested field", "PUT", "/essays/_settings", {"index.mapping.nested_fields.limit": 1}),
    Asked("a second nested field", "PUT", "/essays/_mapping", {"properties": {"more": {"type": "nested"}}}),
    Asked("the index", "GET", "/essays"),
]  # fmt: skip


def recorded(url: str) -> Iterator[dict[str, Any]]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        for number, asked in enumerate(CALLS, FIRST):
            body = asked.body if isinstance(asked.body, str | None) else json.dumps(asked.body)
            headers = {"Content-Type": "application/json"}
            answer = http.request(asked.method, asked.path, content=body, headers=headers)
            yield {
                "name": f"{number}-passages-{asked.name.replace(' ', '-')}",
                "request": {"method": asked.method, "path": asked.path, "body": asked.body},
                "response": {"status": answer.status_code, "body": answer.json() if answer.content else None},
            }


def main(version: str, url: str) -> None:
    path = FOLDER / f"{version}-index.jsonl"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if "-passages-" not in line[:30]]
    kept += [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in recorded(url)]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
