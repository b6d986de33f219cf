"""The same rows of another run: what has been paid for is not sent again, whoever comes first by name or by time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import PaidBefore
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.admission import MustWait
from opensearch_batch.submit.claims import FRESH_SECONDS, Claim, Claimant
from opensearch_batch.submit.names import file_name, hash_key
from opensearch_batch.submit.same_input import goes_first, payments, refuse_paid, refuse_same, to_upload, unpaid
from opensearch_batch.submit.shares import shared_job
from tests.unit.fakes import World

PAID_FOR = "openai|model"
NOW = 100_000.0


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(0, f"file://{tmp_path}/work/run/prepare/shard-00000.jsonl", "sha", 3, 100, 25)


def sent_by(run: str, shard: Shard, world: World, status: str | None = "in_progress", at: float = NOW) -> Claim:
    """The run has claimed the rows and uploaded them; with a status it has a job, too."""
    key = hash_key(run, "rows")
    file_id = world.upload(shard, file_name(key, 1))
    world.about[file_id] = {"bytes": 100}
    claims: list[Claim] = []
    Claimant("dag", run, "submit", "v", PAID_FOR, lambda _, claim: claims.append(claim), now=lambda: at)(
        shard, key, file_id
    )
    if status:
        world.new_job(file_id, status, **({"output_file_id": "file-o"} if status == "completed" else {}))
    return claims[0]


@pytest.mark.parametrize("other", ["a", "z"])
@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_rows_that_another_run_has_paid_for_are_refused_before_anything_is_sent(
    shard: Shard, other: str, status: str
) -> None:
    world = World()
    sent_by(other, shard, world, status)
    with pytest.raises(PaidBefore, match=rf"^1 of 1 shards hold rows .* the run dag/{other}: job batch_1 .{status}"):
        refuse_paid([shard], PAID_FOR, "dag/m", world, providers.DEFAULT)
    assert unpaid([shard], PAID_FOR, world, providers.DEFAULT, lambda claim: True) == []
    assert unpaid([shard], PAID_FOR, world, providers.DEFAULT, lambda claim: False) == [shard]


def test_of_several_jobs_the_first_that_may_have_answers_is_named(shard: Shard) -> None:
    world = World()
    claim = sent_by("a", shard, world, "failed")
    for status in ("in_progress", "validating"):
        world.new_job(claim.input_file_id, status)
    (found,) = payments(shard, PAID_FOR, world, providers.DEFAULT, 0.0, lambda claim: True)
    assert (found.words, found.job_id, found.file_id) == ("job batch_2 (in_progress)", "batch_2", claim.input_file_id)


def test_what_the_run_itself_has_paid_for_it_goes_on_with(shard: Shard) -> None:
    world = World()
    sent_by("a", shard, world)
    own = sent_by("m", shard, world)
    refuse_paid([shard], PAID_FOR, own.run, world, providers.DEFAULT)


def test_a_job_that_ended_without_answers_has_paid_for_nothing(shard: Shard) -> None:
    world = World()
    sent_by("a", shard, world, "failed")
    refuse_paid([shard], PAID_FOR, "dag/m", world, providers.DEFAULT)
    assert unpaid([shard], PAID_FOR, world, providers.DEFAULT, lambda claim: True) == [shard]


def test_a_claim_whose_input_file_is_gone_counts_as_paid(shard: Shard) -> None:
    world = World()
    claim = sent_by("a", shard, world, None)
    world.about.clear()
    (found,) = payments(shard, PAID_FOR, world, providers.DEFAULT, 0.0, lambda claim: True)
    assert (found.claim, found.job_id, found.state) == (claim, "", None)
    assert found.words == "its input file file-1 is gone, as after a clean-up of what has landed"


@pytest.mark.parametrize(("age", "waits"), [(FRESH_SECONDS - 1, True), (FRESH_SECONDS, False)])
def test_a_submission_under_way_goes_first_as_long_as_its_job_may_show_yet(
    shard: Shard, age: float, waits: bool
) -> None:
    world = World()
    sent_by("a", shard, world, None, NOW - age)
    own = sent_by("m", shard, world, None)
    if not waits:
        refuse_same(shard, own, PAID_FOR, world, providers.DEFAULT)
        return
    with pytest.raises(
        MustWait, match="shard 0 waits for another run's job: the run dag/a may be sending the same rows at this moment"
    ):
        refuse_same(shard, own, PAID_FOR, world, providers.DEFAULT)


@pytest.mark.parametrize("other", ["a", "z"])
def test_a_shard_that_another_run_has_sent_is_not_sent(shard: Shard, other: str) -> None:
    world = World()
    sent_by(other, shard, world)
    own = sent_by("m", shard, world, None)
    with pytest.raises(PaidBefore, match=f"shard 0 was not sent: the run dag/{other} has sent the same rows"):
        refuse_same(shard, own, PAID_FOR, world, providers.DEFAULT)


class Asked(World):
    """A provider whose list is long: each question about the jobs of a file walks it."""

    def __init__(self) -> None:
        super().__init__()
        self.walks: list[str] = []

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        self.walks.append(input_file_id)
        return super().find_jobs(input_file_id)


def test_a_run_alone_with_its_rows_asks_nothing_about_its_own_claim(shard: Shard) -> None:
    world = Asked()
    own = sent_by("m", shard, world)
    refuse_same(shard, own, PAID_FOR, world, providers.DEFAULT)
    refuse_paid([shard], PAID_FOR, own.run, world, providers.DEFAULT)
    assert shared_job(shard, own, PAID_FOR, world, providers.DEFAULT, claimed=True) is None
    assert unpaid([shard], PAID_FOR, world, providers.DEFAULT, lambda claim: claim.run != own.run) == [shard]
    assert world.walks == []


def test_a_runs_own_claim_is_asked_about_only_where_another_run_has_paid(shard: Shard) -> None:
    world = Asked()
    theirs, own = sent_by("a", shard, world), sent_by("m", shard, world)
    refuse_paid([shard], PAID_FOR, own.run, world, providers.DEFAULT)
    assert world.walks == [theirs.input_file_id, own.input_file_id]


def test_a_run_uploads_what_it_has_neither_uploaded_nor_taken(shard: Shard) -> None:
    world = World()
    sent_by("a", shard, world)
    assert to_upload([shard], PAID_FOR, "dag/a", world) == []
    assert to_upload([shard], PAID_FOR, "dag/m", world) == [shard]
    assert shared_job(shard, claim("m", NOW, NOW), PAID_FOR, world, providers.DEFAULT, claimed=False)
    assert to_upload([shard], PAID_FOR, "dag/m", world) == []
    world.about.clear()
    assert to_upload([shard], PAID_FOR, "dag/a", world) == [shard], "its file is gone"


def claim(key: str, first_at: float, noted_at: float) -> Claim:
    return Claim(key, "dag", key, "submit", "v", "file", first_at, noted_at)


@pytest.mark.parametrize(
    ("other", "own", "first"),
    [
        (claim("z", 9, 9), claim("b", 5, 5), True),
        (claim("b", 4, 9), claim("a", 5, 9), True),
        (claim("a", 6, 9), claim("b", 5, 9), False),
        (claim("a", 5, 9), claim("b", 5, 9), True),
        (claim("b", 5, 9), claim("a", 5, 9), False),
    ],
    ids=["a first look", "an earlier claim", "a later claim", "the lower key", "the higher key"],
)
def test_of_two_submissions_under_way_one_goes_first(other: Claim, own: Claim, first: bool) -> None:
    assert goes_first(other, own) is first
