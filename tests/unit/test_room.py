"""Figures of memory and disk, against the numbers of OpenSearch's documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from opensearch_batch.cluster.room import BREAKER, FLOOD_STAGE, LIMIT, WATCHED, DataNode, IndexSize
from opensearch_batch.prepare.graphs import VectorField, vector_field
from opensearch_batch.prepare.index_state import in_the_way
from opensearch_batch.prepare.room import Needed, Room, free_until, graph_limit, in_bytes, lacking, shown

GIB = 1 << 30
NODE = DataNode(memory=64 * GIB, heap=32 * GIB, disk=1000 * GIB, available=200 * GIB)


@pytest.mark.parametrize(
    ("mapping", "count", "size"),
    [
        # The documentation's own examples: 1,000,000 vectors of 256 numbers.
        ({"method": {"engine": "faiss", "parameters": {"m": 16}}}, 1_000_000, 1_267_200_000),
        ({"method": {"engine": "faiss", "parameters": {"m": 16, "encoder": {"name": "sq"}}}}, 1_000_000, 704_000_000),
        ({"mode": "on_disk"}, 1_000_000, 176_000_000),
        ({"mode": "on_disk", "compression_level": "16x"}, 1_000_000, 211_200_000),
        ({"method": {"name": "ivf", "parameters": {"nlist": 128}}}, 1_000_000, 1_126_544_179),
        ({"method": {"parameters": {"encoder": {"name": "pq"}}}}, 1_000_000, None),
        ({}, 0, 0),
    ],
)
def test_memory_of_graphs(mapping: dict[str, Any], count: int, size: int | None) -> None:
    field = vector_field({"dimension": 256, **mapping})
    assert field is not None
    found = field.memory(count)
    assert found == (None if size is None else pytest.approx(size, abs=300))


def test_a_trained_model_knows_the_dimension() -> None:
    assert vector_field({"model_id": "m"}) is None


def test_vectors_that_are_derived_take_no_text_on_disk() -> None:
    field = VectorField(768, "lucene")
    assert field.disk(1, is_derived=True) == 4 * 768 + 8 * 16
    assert field.disk(1, is_derived=False) == 16 * 768 + 8 * 16


@pytest.mark.parametrize(("limit", "size"), [("50%", 16 * GIB), ("1kb", 1024), ("2gb", 2 * GIB), ("0.5g", GIB // 2)])
def test_the_limit_of_memory(limit: str, size: int) -> None:
    assert graph_limit(NODE, limit) == size


@pytest.mark.parametrize(("stage", "gib"), [("95%", 150), ("0.95", 150), ("50gb", 150), ("100%", 200), ("500gb", 0)])
def test_room_until_the_flood_stage(stage: str, gib: int) -> None:
    assert free_until(NODE, stage) == pytest.approx(gib * GIB, abs=1)


def test_what_is_no_size() -> None:
    with pytest.raises(ValueError, match="no size"):
        in_bytes("much")


@pytest.mark.parametrize(("size", "words"), [(12, "12 bytes"), (1536, "1.5 KiB"), (3 * GIB, "3.0 GiB")])
def test_bytes_for_people(size: int, words: str) -> None:
    assert shown(size) == words


NEEDED = Needed("a", VectorField(1024, "faiss"), IndexSize(3_000_000, 9 * GIB), 3, 2, 3_000_000, is_derived=True)


def words(needed: Needed = NEEDED, **settings: str) -> list[str]:
    names = {"limit": LIMIT, "breaker": BREAKER, "watched": WATCHED, "stage": FLOOD_STAGE}
    told = {names[name]: value for name, value in settings.items()}
    return [line.partition(" ")[2][:14] for line in lacking([needed], Room([NODE, NODE], told))]


def test_both_are_found() -> None:
    """2 copies of 13 GiB of graphs fit in 2 nodes' 16 GiB each, and not in 4; 65 GiB of files fit on the disks."""
    assert words() == []
    assert words(limit="4gb") == ["the graphs of "]
    assert words(stage="180gb") == ["3000000 vector"]
    assert words(limit="4gb", breaker="false") == []
    assert words(stage="180gb", watched="false") == []


def test_what_nobody_may_see_is_not_judged() -> None:
    assert list(lacking([NEEDED], Room(None, None))) == []


def test_graphs_of_other_indices_count_and_our_own_do_not() -> None:
    assert list(lacking([NEEDED], Room([NODE, NODE], {}, {"a": 30 * GIB}))) == []
    assert len(list(lacking([NEEDED], Room([NODE, NODE], {}, {"b": 30 * GIB})))) == 1


def test_a_single_shard_lies_on_one_node() -> None:
    alone = replace(NEEDED, shards=1, copies=1)
    assert words(alone, limit="10gb") == ["the graphs of "]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"plugins": {"replication": {"follower": {"leader_index": "far"}}}}, "follows far of another cluster"),
        ({"store": {"type": "remote_snapshot"}}, "lies in a snapshot"),
        ({"append_only": {"enabled": "true"}}, "takes new documents only"),
    ],
)
def test_an_index_that_takes_no_vector(settings: dict[str, Any], said: str) -> None:
    assert said in next(in_the_way("near", settings))
    assert list(in_the_way("near", {"number_of_shards": "1", "append_only": {"enabled": "false"}})) == []
