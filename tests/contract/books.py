"""An index of three shards, and a plain client of it."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.contract.cluster import Cluster

VECTOR = {"type": "knn_vector", "dimension": 2, "method": {"name": "hnsw", "engine": "lucene", "space_type": "l2"}}
PROPERTIES = {"title": {"type": "text"}, "day": {"type": "date"}, "hash": {"type": "keyword"}, "v": VECTOR}
DAYS = [f"2026-11-{1 + number % 5:02d}" for number in range(5)]


class Books:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.create("books")

    def create(self, name: str, shards: int = 3, **settings: Any) -> None:
        wanted = {"index": {"knn": True, "number_of_shards": shards, "number_of_replicas": 0, **settings}}
        self.ok("PUT", f"/{name}", {"settings": wanted, "mappings": {"properties": PROPERTIES}})

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.cluster.raw(method, path, body)
        assert status in (200, 201), answer
        return answer

    def bulk(self, *lines: Any, path: str = "/books/_bulk?refresh=true") -> Any:
        body = "".join(json.dumps(line) + "\n" for line in lines)
        return httpx.post(self.cluster.url + path, content=body, trust_env=False, timeout=30).json()

    def fill(self, count: int) -> None:
        lines = [
            line
            for number in range(count)
            for line in ({"index": {"_id": f"d{number}"}}, {"title": f"title {number}", "day": DAYS[number % 5]})
        ]
        assert self.bulk(*lines)["errors"] is False

    def walk(self, sort: list[Any], slices: int = 1, pit: str | None = None, size: int = 100) -> list[str]:
        """The ids in the order in which they come."""
        pit = pit or self.ok("POST", "/books/_search/point_in_time?keep_alive=1m")["pit_id"]
        found: list[str] = []
        for number in range(slices):
            body: dict[str, Any] = {"pit": {"id": pit}, "sort": sort, "size": size, "_source": False}
            if slices > 1:
                body["slice"] = {"id": number, "max": slices}
            while hits := self.ok("POST", "/_search", body)["hits"]["hits"]:
                found += [hit["_id"] for hit in hits]
                body["search_after"] = hits[-1]["sort"]
        return found
