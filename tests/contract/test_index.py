"""Indices, documents and walks through them, beyond what the recorded exchanges show."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.index_face.hashing import routing_shards, shard_of
from sandbox.server import Sandbox
from tests.contract.books import Books
from tests.contract.cluster import Cluster


@pytest.fixture
def books(cluster: Cluster) -> Books:
    return Books(cluster)


def test_where_a_document_lies() -> None:
    """As many to each shard as a real server of three shards had of d0 to d2999."""
    counts = [0, 0, 0]
    for number in range(3000):
        counts[shard_of(f"d{number}", 3)] += 1
    assert counts == [1037, 996, 967]
    assert [routing_shards(count) for count in range(1, 9)] == [1024, 1024, 768, 1024, 640, 768, 896, 1024]


def test_a_walk_by_seq_no_in_as_many_slices_as_shards_is_complete(books: Books) -> None:
    books.fill(1000)
    assert sorted(books.walk(["_seq_no"], slices=3)) == sorted(f"d{number}" for number in range(1000))


# Of 3,000 documents d0 to d2999 in three shards, read by 251, days by turns: what real servers of both versions lost.
LOST = [
    (["_doc"], 1, 11),
    (["_seq_no"], 1, 11),
    (["_seq_no"], 2, 7),
    (["_seq_no"], 3, 0),
    (["_seq_no"], 5, 0),
    (["day"], 1, 1745),
    (["day"], 2, 1044),
    (["day", "_doc"], 1, 1),
    (["day", "_id"], 1, 0),
]


def test_a_walk_loses_as_many_documents_as_on_a_real_server(books: Books) -> None:
    books.fill(3000)
    pit = books.ok("POST", "/books/_search/point_in_time?keep_alive=5m")["pit_id"]
    walked = [(sort, slices, books.walk(sort, slices, pit, size=251)) for sort, slices, _ in LOST]
    assert [(sort, slices, 3000 - len(set(found))) for sort, slices, found in walked] == LOST
    assert all(len(found) == len(set(found)) for _, _, found in walked)


@pytest.mark.parametrize(("sort", "complete"), [(["day"], False), (["day", "_id"], True), (["_shard_doc"], True)])
def test_a_walk_over_equal_values_loses_documents_and_says_nothing(
    books: Books, sort: list[str], complete: bool
) -> None:
    books.fill(1000)
    found = books.walk(sort)
    assert len(found) == len(set(found))
    assert (len(found) == 1000) is complete


def test_a_point_in_time_does_not_see_later_writes(books: Books) -> None:
    books.fill(10)
    pit = books.ok("POST", "/books/_search/point_in_time?keep_alive=1m")["pit_id"]
    books.bulk({"delete": {"_id": "d0"}}, {"index": {"_id": "new"}}, {"title": "new"})
    assert sorted(books.walk(["_seq_no"], slices=3, pit=pit)) == [f"d{number}" for number in range(10)]
    assert "d0" not in books.walk(["_seq_no"], slices=3)


def test_what_changed_since_a_checkpoint(books: Books) -> None:
    books.fill(100)
    shards = books.ok("GET", "/books/_stats/docs?level=shards")["indices"]["books"]["shards"]
    books.bulk({"update": {"_id": "d7"}}, {"doc": {"title": "new"}})
    found = []
    for number, (shard,) in shards.items():
        query = {"range": {"_seq_no": {"gt": shard["seq_no"]["global_checkpoint"]}}}
        found += books.ok("POST", f"/books/_search?preference=_shards:{number}", {"query": query})["hits"]["hits"]
    assert [hit["_id"] for hit in found] == ["d7"]


def test_a_history_belongs_to_one_index(books: Books) -> None:
    def histories() -> list[str]:
        shards = books.ok("GET", "/books/_stats/docs?level=shards")["indices"]["books"]["shards"]
        return [shard[0]["commit"]["user_data"]["history_uuid"] for shard in shards.values()]

    first = histories()
    assert histories() == first
    books.ok("DELETE", "/books")
    books.create("books")
    assert set(histories()).isdisjoint(first)


def test_a_body_above_a_tenth_of_the_heap_is_refused_however_often_it_comes(tmp_path: Path) -> None:
    with Sandbox(tmp_path, heap_bytes=100_000) as box:
        cluster = Cluster(box.url)
        line = b'{"index":{"_index":"i"}}\n{"t":"' + b"x" * 12_000 + b'"}\n'
        answer = httpx.post(f"{box.url}/_bulk", content=line, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["type"]) == (429, "rejected_execution_exception")
        assert cluster.raw("HEAD", "/i")[0] == 404
        cluster.close()


def test_more_than_100_mib_is_413_without_a_word(books: Books) -> None:
    answer = httpx.post(f"{books.cluster.url}/_bulk", content=b"\n" * (100 * 1024 * 1024 + 1), trust_env=False)
    assert (answer.status_code, answer.content) == (413, b"")


def test_a_compressed_body_is_taken(books: Books) -> None:
    body = gzip.compress(b'{"index":{"_id":"1"}}\n{"title":"a"}\n')
    url = f"{books.cluster.url}/books/_bulk?filter_path=errors"
    answer = httpx.post(url, content=body, headers={"Content-Encoding": "gzip"}, trust_env=False)
    assert answer.json() == {"errors": False}


def test_writes_are_seen_only_after_a_refresh_where_the_index_does_not_refresh(books: Books) -> None:
    books.create("slow", refresh_interval="-1")
    books.ok("PUT", "/slow/_doc/1", {"title": "a"})
    assert books.ok("GET", "/slow/_count")["count"] == 0
    assert books.ok("GET", "/slow/_doc/1")["found"] is True
    books.ok("POST", "/slow/_refresh")
    assert books.ok("GET", "/slow/_count")["count"] == 1


def test_an_id_with_a_slash(books: Books) -> None:
    books.bulk({"index": {"_id": "a/b"}}, {"title": "a"})
    assert books.ok("GET", "/books/_doc/a%2Fb")["_id"] == "a/b"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Sandbox, Books]]:
    with Sandbox(tmp_path) as box:
        cluster = Cluster(box.url)
        yield box, Books(cluster)
        cluster.close()


# As the servers' own classes of these requests say, where the call says nothing.
@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/shop-*", {"shop-open"}),
        ("GET", "/shop-*?expand_wildcards=closed,hidden", {"shop-closed"}),
        ("GET", "/shop-*?expand_wildcards=open,closed,hidden", {"shop-open", "shop-closed"}),
        ("GET", "/shop-*?expand_wildcards=all", {"shop-open", "shop-closed"}),
        ("GET", "/shop-*?expand_wildcards=none", set()),
        ("GET", "/shop-closed", {"shop-closed"}),
        ("GET", "/shop-*/_alias", {"shop-open", "shop-closed"}),
    ],
)
def test_a_pattern_stands_for_open_indices_where_nothing_is_said(
    cluster: Cluster, method: str, path: str, found: set[str]
) -> None:
    for name in ("shop-open", "shop-closed"):
        assert httpx.put(f"{cluster.url}/{name}", json={}, trust_env=False).is_success
    assert httpx.post(f"{cluster.url}/shop-closed/_close", trust_env=False).is_success
    answer = httpx.request(method, f"{cluster.url}{path}", trust_env=False)
    assert (answer.status_code, set(answer.json())) == (200, found)


def test_a_state_of_indices_that_nobody_knows(cluster: Cluster) -> None:
    answer = httpx.get(f"{cluster.url}/shop-*?expand_wildcards=shut", trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "No valid expand wildcard value [shut]"


def test_all_of_it_is_there_after_a_restart_but_points_in_time(kept: tuple[Sandbox, Books]) -> None:
    """New writes are of the next primary term, as on a real server."""
    box, books = kept
    books.fill(20)
    books.ok("POST", "/_aliases", {"actions": [{"add": {"index": "books", "alias": "shelf"}}]})
    books.bulk({"delete": {"_id": "d3"}}, {"update": {"_id": "d4"}}, {"doc": {"v": [1, 0.3333333333]}})
    pit = books.ok("POST", "/shelf/_search/point_in_time?keep_alive=1m")["pit_id"]
    before = books.ok("GET", "/books"), books.ok("GET", "/books/_stats/docs?level=shards")
    documents = books.ok("POST", "/shelf/_search", {"size": 100, "version": True, "seq_no_primary_term": True})["hits"]

    box.stop()
    box.start()

    assert (books.ok("GET", "/books"), books.ok("GET", "/books/_stats/docs?level=shards")) == before
    again = books.ok("POST", "/shelf/_search", {"size": 100, "version": True, "seq_no_primary_term": True})["hits"]
    assert again == documents
    status, answer = books.cluster.raw("POST", "/_search", {"pit": {"id": pit}})
    assert (status, answer["error"]["root_cause"][0]["type"]) == (404, "search_context_missing_exception")
    assert books.ok("PUT", "/books/_doc/new", {"title": "a"})["_primary_term"] == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"match": {"title": "title 2"}}, ["d0", "d1", "d2", "d3", "d4"]),
        ({"match": {"title": {"query": "Title 2", "operator": "and"}}}, ["d2"]),
        ({"match": {"hash": "h3"}}, ["d3"]),
        ({"prefix": {"hash": "h"}}, ["d0", "d1", "d2", "d3", "d4"]),
        ({"constant_score": {"filter": {"terms": {"hash": ["h1", "h4", "h9"]}}}}, ["d1", "d4"]),
        ({"range": {"day": {"gte": "2026-11-04"}}}, ["d3", "d4"]),
        ({"range": {"day": {"gt": 1793664000000, "lt": "2026-11-05"}}}, ["d3"]),
        ({"bool": {"must_not": {"ids": {"values": ["d0", "d1"]}}, "filter": {"exists": {"field": "v"}}}}, ["d3"]),
        ({"bool": {"should": [{"term": {"_id": "d0"}}, {"term": {"hash": "h1"}}]}}, ["d0", "d1"]),
        ({"term": {"not_mapped": "a"}}, []),
    ],
)
def test_what_a_query_finds(books: Books, query: dict[str, Any], found: list[str]) -> None:
    books.fill(5)
    books.bulk(*(line for n in range(5) for line in ({"update": {"_id": f"d{n}"}}, {"doc": {"hash": f"h{n}"}})))
    books.bulk({"update": {"_id": "d3"}}, {"doc": {"v": [1, 2]}})
    hits = books.ok("POST", "/books/_search", {"query": query})["hits"]["hits"]
    assert sorted(hit["_id"] for hit in hits) == found


def test_a_query_that_nobody_knows(books: Books) -> None:
    status, answer = books.cluster.raw("POST", "/books/_search", {"query": {"nearest": {}}})
    assert (status, answer["error"]["reason"]) == (400, "unknown query [nearest]")


def test_a_reset_forgets_indices(books: Books) -> None:
    books.cluster.order("reset")
    assert books.cluster.raw("HEAD", "/books")[0] == 404
