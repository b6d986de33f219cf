"""Trouble on order with writes and walks."""

from __future__ import annotations

import httpx
import pytest

from sandbox.index_face.hashing import shard_of
from tests.contract.books import Books
from tests.contract.cluster import Cluster

SHARDS = {f"d{number}": shard_of(f"d{number}", 3) for number in range(10)}


@pytest.fixture
def books(cluster: Cluster) -> Books:
    made = Books(cluster)
    made.fill(10)
    return made


def test_a_bulk_that_is_refused_whole_does_nothing(books: Books) -> None:
    books.cluster.fault("bulk_rejected", times=2)
    for _ in range(2):
        answer = books.bulk({"delete": {"_id": "d0"}})
        assert (answer["status"], answer["error"]["type"]) == (429, "rejected_execution_exception")
    assert books.ok("GET", "/books/_count")["count"] == 10
    assert books.bulk({"delete": {"_id": "d0"}})["errors"] is False


def test_the_items_of_one_shard_are_refused_and_the_others_done(books: Books) -> None:
    books.cluster.fault("bulk_items_rejected", shard=1)
    answer = books.bulk(*({"delete": {"_id": id_}} for id_ in SHARDS))
    refused = {item["delete"]["_id"] for item in answer["items"] if item["delete"]["status"] == 429}
    assert answer["errors"] is True
    assert refused == {id_ for id_ in SHARDS if SHARDS[id_] == 1} == set(books.walk(["_seq_no"], slices=3))
    types = {item["delete"]["error"]["type"] for item in answer["items"] if item["delete"]["status"] == 429}
    assert types == {"rejected_execution_exception"}


def test_a_point_in_time_that_is_lost_in_the_middle(books: Books) -> None:
    pit = books.ok("POST", "/books/_search/point_in_time?keep_alive=1m")["pit_id"]
    assert books.walk(["_seq_no"], slices=3, pit=pit)
    books.cluster.fault("pit_lost")
    for _ in range(2):
        status, answer = books.cluster.raw("POST", "/_search", {"pit": {"id": pit}})
        assert (status, answer["error"]["root_cause"][0]["type"]) == (404, "search_context_missing_exception")


def test_a_bulk_whose_answer_is_lost_is_done(books: Books) -> None:
    books.cluster.fault("bulk_answer_lost")
    with pytest.raises(httpx.RemoteProtocolError):
        books.bulk({"delete": {"_id": "d0"}})
    assert books.ok("GET", "/books/_count")["count"] == 9


def test_a_shard_that_is_not_there_takes_its_hits_with_it(books: Books) -> None:
    books.cluster.fault("shard_failed", times=2)
    answer = books.ok("POST", "/books/_search", {"size": 10})
    assert answer["_shards"]["failed"] == 1
    assert {hit["_id"] for hit in answer["hits"]["hits"]} == {id_ for id_ in SHARDS if SHARDS[id_] != 2}
    status, refused = books.cluster.raw("POST", "/books/_search?allow_partial_search_results=false", {})
    assert (status, refused["error"]["type"]) == (503, "search_phase_execution_exception")
    assert len(books.ok("POST", "/books/_search", {})["hits"]["hits"]) == 10


def test_a_search_by_knn_that_misses_the_nearest(books: Books) -> None:
    books.bulk(*(line for n in range(5) for line in ({"update": {"_id": f"d{n}"}}, {"doc": {"v": [n, 1]}})))
    query = {"query": {"knn": {"v": {"vector": [0, 1], "k": 5}}}, "size": 5}
    found = [hit["_id"] for hit in books.ok("POST", "/books/_search", query)["hits"]["hits"]]
    books.cluster.fault("neighbours_missed", count=2)
    assert [hit["_id"] for hit in books.ok("POST", "/books/_search", query)["hits"]["hits"]] == found[2:]
    assert [hit["_id"] for hit in books.ok("POST", "/books/_search", query)["hits"]["hits"]] == found
