"""Planned: of all that has landed what this preparation made, told by the shards' content."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.planned import landed_of, of_bundles, planned
from tests.unit.test_reconcile import landed


def of(shard: Shard, job_id: str = "batch_1") -> Landed:
    part = landed(shard.index)
    return replace(part, job=Job("key", 1, job_id, "file", None, "m", shard))


def shard(index: int, sha256: str, **more: Any) -> Shard:
    return Shard(index, f"file:///work/{index}", sha256, 10, 1, 1, **more)


A, B = shard(0, "a"), shard(1, "b")


def test_shards_of_an_earlier_preparation_do_not_count_under_whatever_index() -> None:
    earlier = shard(0, "of an earlier input")
    found = planned([of(earlier), of(B)], [A, B])
    assert [part.job.shard for part in found.landed] == [B]
    assert (found.has(of(A).job), found.has(of(earlier).job)) == (True, False)


def test_the_same_content_under_another_index_counts_once_and_as_planned() -> None:
    moved = of(shard(5, "a"), "batch_5")
    (part,) = landed_of([A, B], [moved])
    assert (part.job.shard, part.job.provider_job_id) == (A, "batch_5")


def test_a_shard_that_landed_under_its_own_index_comes_before_the_same_under_another() -> None:
    own, moved = of(A, "own"), of(shard(5, "a"), "moved")
    for parts in ([own, moved], [moved, own]):
        assert [part.job.provider_job_id for part in landed_of([A], parts)] == ["own"]
    assert [part.job.provider_job_id for part in landed_of([A], [of(A, "first"), of(A, "second")])] == ["second"]


def test_other_twins_and_another_round_make_another_shard() -> None:
    assert landed_of([A], [of(shard(0, "a", twins=1)), of(shard(0, "a", round=1))]) == []
    assert len(landed_of([A], [of(shard(0, "a", twins=0))])) == 1, "no twins are no twins"


def test_a_job_of_raw_parameters_is_of_every_plan() -> None:
    raw = replace(of(A), job=Job("key", 1, "batch_1", "file", None, "m"))
    found = planned([raw], [])
    assert (found.landed, found.has(raw.job)) == ([raw], True)


def test_a_fetch_counts_where_it_landed_a_whole_bundle() -> None:
    whole, part = [of(A), of(B)], [of(A)]
    assert of_bundles([whole, part], [[A, B]]) == [whole]
