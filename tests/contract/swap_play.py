"""``python -m tests.contract.swap_play URL VERSION``: ask a real server what a run beside an index asks, and keep its
answers in exchanges/VERSION-swap.jsonl, in the form of the files beside it. Indices `swap-*` are deleted first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.contract.recordings import FOLDER

PROPERTIES = {
    "t": {"type": "text"},
    "v": {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene", "space_type": "l2"}},
    "v_provenance": {"properties": {"model": {"type": "keyword"}}},
}
ONE = {"number_of_shards": 1, "number_of_replicas": 0, "knn": True}
RULE = {"filter": {"match_all": {}}, "index_routing": "r", "search_routing": "r", "is_write_index": True}
ITEMS = (
    "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
)
NOTE = {"opensearch_batch": {"made": {"alias": "swap", "run": "a/b"}}}


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def copy_of(document_id: str, version: int, text: str, kind: str = "external") -> list[Any]:
    head = {"_index": "swap-b", "_id": document_id, "pipeline": "_none", "version": version, "version_type": kind}
    return [{"index": head}, {"t": text}]


def index_of(document_id: str, **terms: Any) -> list[Any]:
    return [{"index": {"_index": "swap-b", "_id": document_id, "pipeline": "_none", **terms}}, {"t": "again"}]


def delete_of(document_id: str, **terms: Any) -> list[Any]:
    return [{"delete": {"_index": "swap-b", "_id": document_id, **terms}}]


def move(left: str, to: str) -> dict[str, Any]:
    taken = {"remove": {"index": left, "alias": "swap", "must_exist": True}}
    return {"actions": [taken, {"add": {**RULE, "index": to, "alias": "swap"}}]}


def search(source: Any) -> dict[str, Any]:
    return {"_source": source, "version": True, "seq_no_primary_term": True, "sort": ["_seq_no"]}


MADE = {
    "settings": {"index": {**ONE, "default_pipeline": "_none", "final_pipeline": "_none"}},
    "mappings": {"dynamic": "strict", "properties": PROPERTIES, "_meta": NOTE},
}
OLD = {"v": [1.5, 2.5], "v_provenance": {"model": "old"}}
WANTED = [
    {"_index": "swap-b", "_id": name, "_source": ["t", "v", "v_provenance", "v_provenance.*"]} for name in ("1", "9")
]
STEPS: list[tuple[str, str, str, Any]] = [
    ("101-old-make", "PUT", "/swap-a", {"settings": {"index": ONE}, "mappings": {"properties": PROPERTIES}}),
    ("102-old-alias", "POST", "/_aliases", {"actions": [{"add": {**RULE, "index": "swap-a", "alias": "swap"}}]}),
    (
        "103-old-documents",
        "POST",
        f"{ITEMS}&refresh=true",
        lines(
            *(each for n in "123" for each in ({"index": {"_index": "swap-a", "_id": n}}, {"t": f"text {n}", **OLD}))
        ),
    ),
    ("104-describe-by-alias", "GET", "/swap", None),
    ("105-describe-what-is-not-there", "GET", "/swap-c", None),
    ("106-without-vectors", "POST", "/swap-a/_search", search({"excludes": ["v", "v_provenance"]})),
    ("107-ids", "POST", "/swap-a/_search", search(False)),
    ("201-new-make", "PUT", "/swap-b", MADE),
    ("202-new-make-again", "PUT", "/swap-b", MADE),
    ("203-new-named-as-the-alias", "PUT", "/swap", MADE),
    ("204-new-describe", "GET", "/swap-b", None),
    ("205-copy", "POST", ITEMS, lines(*copy_of("1", 7, "one"), *copy_of("2", 1, "two"), *copy_of("3", 3, "three"))),
    ("206-copy-again", "POST", ITEMS, lines(*copy_of("1", 7, "one"), *copy_of("2", 2, "newer"))),
    ("207-same-version-at-least", "POST", ITEMS, lines(*copy_of("1", 7, "one", "external_gte"))),
    ("208-older-version-at-least", "POST", ITEMS, lines(*copy_of("1", 6, "one", "external_gte"))),
    ("209-get-with-versions", "POST", "/_mget", {"docs": WANTED}),
    ("210-create-what-is-there", "POST", ITEMS, lines(*index_of("1", op_type="create"))),
    ("211-create", "POST", ITEMS, lines(*index_of("4", op_type="create"))),
    ("212-on-condition", "POST", ITEMS, lines(*index_of("4", if_seq_no=5, if_primary_term=1))),
    ("213-on-a-condition-that-is-over", "POST", ITEMS, lines(*index_of("4", if_seq_no=0, if_primary_term=1))),
    ("214-delete-on-condition", "POST", ITEMS, lines(*delete_of("3", if_seq_no=2, if_primary_term=1))),
    ("215-delete-what-is-gone", "POST", ITEMS, lines(*delete_of("3", if_seq_no=2, if_primary_term=1))),
    ("216-refresh", "POST", "/swap-b/_refresh", None),
    ("217-what-is-there", "POST", "/swap-b/_search", search(True)),
    ("301-pipelines", "PUT", "/swap-b/_settings", {"index.default_pipeline": None, "index.final_pipeline": None}),
    ("302-note", "PUT", "/swap-b/_mapping", {"_meta": {**NOTE, "owner": "team"}}),
    ("303-note-read", "GET", "/swap-b/_mapping", None),
    ("304-move", "POST", "/_aliases", move("swap-a", "swap-b")),
    ("305-move-again", "POST", "/_aliases", move("swap-a", "swap-b")),
    ("306-alias", "GET", "/_alias/swap", None),
    ("307-read-only", "PUT", "/swap-b/_settings", {"index.blocks.read_only": True}),
    ("308-move-of-a-read-only-index", "POST", "/_aliases", move("swap-b", "swap-a")),
    ("309-alias", "GET", "/_alias/swap", None),
    ("310-read-only-no-more", "PUT", "/swap-b/_settings", {"index.blocks.read_only": None}),
    ("311-move-back", "POST", "/_aliases", move("swap-b", "swap-a")),
    ("312-delete-new", "DELETE", "/swap-b", None),
    ("313-delete-new-again", "DELETE", "/swap-b", None),
]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.swap_play", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("version")
    given = parser.parse_args(argv)
    with httpx.Client(base_url=given.url, trust_env=False, timeout=60) as http:
        for name in ("swap-a", "swap-b"):
            http.delete(f"/{name}")
        kept = [json.dumps(line, ensure_ascii=False) + "\n" for line in recorded(http)]
    (FOLDER / f"{given.version}-swap.jsonl").write_text("".join(kept), encoding="utf-8")
    print(f"{len(kept)} exchanges")
    return 0


def recorded(http: httpx.Client) -> Iterator[dict[str, Any]]:
    for name, method, path, body in STEPS:
        content = body if isinstance(body, str) else None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if content else {}
        answer = http.request(method, path, content=content, headers=headers)
        yield {
            "name": name,
            "request": {"method": method, "path": path, "body": body},
            "response": {"status": answer.status_code, "body": answer.json() if answer.content else None},
        }


if __name__ == "__main__":
    raise SystemExit(main())
