"""Shares: which job of another run is taken, who waits for whom, and what a taken job is to its run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.clean_provider import without_shared
from opensearch_batch.errors import PaidBefore
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.report import ReportedJob
from opensearch_batch.orphans.verdict import verdict
from opensearch_batch.submit.admission import MustWait
from opensearch_batch.submit.claims import FRESH_SECONDS, Claim, Claimant, SharedJob, work_uri_of
from opensearch_batch.submit.names import file_name, hash_key, shard_key
from opensearch_batch.submit.note import Note
from opensearch_batch.submit.same_input import payments
from opensearch_batch.submit.shares import release, shared_job, shares_of
from opensearch_batch.tasks.turns import current_jobs
from tests.unit.fakes import Killed, Memory, World
from tests.unit.test_orphans import CLAIM, VERSION, Airflow
from tests.unit.test_submission import SHARD, Case

OWNER, OWN = hash_key("owner", "rows"), hash_key("own", "rows")
NOW = 10_000.0


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return replace(SHARD, uri=f"file://{tmp_path}/work/run/prepare/shard-00000.jsonl")


class Files(World):
    """Files that can be asked for, and deleted."""

    def file_bytes(self, file_id: str) -> int | None:
        return 100 if file_id in [found for _, found in self.files] else None

    def delete_file(self, file_id: str) -> bool:
        self.files = [each for each in self.files if each[1] != file_id]
        return True


@pytest.fixture
def world() -> World:
    return Files()


def claimed_by_another(shard: Shard, world: World, at: float = NOW - 60, key: str = OWNER) -> str:
    """The id of the file that the other run has uploaded; its job is another matter."""
    file_id = world.upload(shard, file_name(key, 1))
    Claimant("dag", key[-4:], "submit", VERSION, "paid", now=lambda: at)(shard, key, file_id)
    return file_id


def taken(
    shard: Shard, world: World, file_id: str = "", first_at: float = NOW, *, claimed: bool = False
) -> SharedJob | None:
    own = Claim(OWN, "dag", "own", "submit", VERSION, file_id, first_at, NOW)
    return shared_job(shard, own, "paid", world, providers.DEFAULT, claimed=claimed)


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        (["in_progress", "completed"], 1),
        (["cancelling", "in_progress"], 1),
        (["cancelling", "cancelled"], 1),
        (["cancelled", "in_progress"], 1),
        (["expired", "completed"], 1),
        (["completed", "completed"], 0),
        (["validating", "in_progress"], 0),
    ],
)
def test_of_several_the_job_with_most_to_hope_for_is_taken(
    shard: Shard, world: World, statuses: list[str], chosen: int
) -> None:
    jobs = []
    for number, status in enumerate(statuses):
        file_id = claimed_by_another(shard, world, NOW - 5000 + number, hash_key(f"run {number}", "rows"))
        jobs.append(world.new_job(file_id, status, output_file_id="out")["id"])
    found = taken(shard, world)
    assert found
    assert found.job_id == jobs[chosen]


@pytest.mark.parametrize(
    ("file_id", "claimed", "own_first_at", "waits"),
    [
        ("", False, NOW, True),  # before the upload: another may be sending
        ("file-own", False, NOW, False),  # uploaded, and about to claim: that look decides
        ("file-own", True, NOW, True),  # a first look: the other may have looked before
        ("file-own", True, NOW - 30, True),  # the other came first
        ("file-own", True, NOW - 90, False),  # this run came first
    ],
)
def test_who_waits_for_a_submission_under_way(
    shard: Shard, world: World, file_id: str, claimed: bool, own_first_at: float, waits: bool
) -> None:
    claimed_by_another(shard, world)
    if waits:
        with pytest.raises(MustWait, match="may be sending the same rows"):
            taken(shard, world, file_id, own_first_at, claimed=claimed)
    else:
        assert taken(shard, world, file_id, own_first_at, claimed=claimed) is None


def test_nobody_waits_for_a_claim_of_long_ago(shard: Shard, world: World) -> None:
    claimed_by_another(shard, world, NOW - FRESH_SECONDS)
    assert taken(shard, world) is None


def test_an_upload_that_is_not_needed_goes_once_the_job_is_noted(tmp_path: Path) -> None:
    case, claimed = Case(), tmp_path / "own.json"
    case.world = Files()
    case.world.new_job("file-theirs")
    claimed.write_text("{}")
    case.memory.kill_at_set = 2  # the first notes the upload
    with pytest.raises(Killed):
        case.submitter(
            claim=lambda shard, key, file_id: dataclasses.replace(SHARED, own_claim_uri=claimed.as_uri())
        ).submit(SHARD)
    assert (len(case.names()), claimed.exists()) == (1, True), "the next try may need both"
    case.submitter(
        claim=lambda shard, key, file_id: dataclasses.replace(SHARED, own_claim_uri=claimed.as_uri())
    ).submit(SHARD)
    assert (case.names(), claimed.exists(), case.world.submissions) == ([], False, [])


def test_where_the_answers_are_gone_nothing_is_taken(shard: Shard, world: World) -> None:
    world.new_job(claimed_by_another(shard, world), "completed", output_file_id="out")
    world.files.clear()
    with pytest.raises(PaidBefore, match="was cleaned up at the provider"):
        taken(shard, world)
    assert shares_of(work_uri_of(shard), [OWNER]) == {}


def test_a_claim_that_goes_between_list_and_look_fails_nobody(
    shard: Shard, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = claimed_by_another(shard, world, key=hash_key("first", "rows"))
    world.new_job(theirs, "in_progress")
    waiting = claimed_by_another(shard, world, key=hash_key("second", "rows"))
    find = world.find_uploads

    def gone_meanwhile(prefix: str) -> dict[str, str]:
        for path in Path(work_uri_of(shard)[7:]).glob(f"jobs/*/{hash_key('second', 'rows')}.json"):
            path.unlink()
        world.files = [each for each in world.files if each[1] != waiting]
        return find(prefix)

    monkeypatch.setattr(world, "find_uploads", gone_meanwhile)
    found = list(payments(shard, "paid", world, providers.DEFAULT, 0.0, lambda claim: True))
    assert [each.file_id for each in found] == [theirs]


def test_a_share_is_found_by_its_owners_key_until_it_is_given_back(shard: Shard, world: World) -> None:
    world.new_job(claimed_by_another(shard, world), "in_progress")
    taken(shard, world)
    work = work_uri_of(shard)
    assert [share.run for share in shares_of(work, [OWNER, "other"])[OWNER]] == ["dag/own"]
    assert shares_of(work, [OWNER], since=NOW) == shares_of(work, [OWN]) == {}
    assert release(work, [OWN]) == 1
    assert shares_of(work, [OWNER]) == {}


@pytest.mark.parametrize("shared_with", ["dag/owner", UNSET])
def test_a_clean_up_gives_back_what_the_run_has_taken_though_it_has_paid_since(
    shard: Shard, world: World, shared_with: str | UnsetType
) -> None:
    world.new_job(claimed_by_another(shard, world), "in_progress")
    taken(shard, world)
    job = ReportedJob(0, 0, None, "batch_9", "file-9", "model", OWN, 2, "completed", 5, shared_with)
    own = [] if shared_with else [job]
    assert without_shared([job], "", dry_run=False) == own, "a manifest of no spec"
    assert without_shared([job], work_uri_of(shard), dry_run=True) == own
    assert shares_of(work_uri_of(shard), [OWNER])
    assert without_shared([job], work_uri_of(shard), dry_run=False) == own
    assert shares_of(work_uri_of(shard), [OWNER]) == {}


SHARED = SharedJob("batch_1", "file-theirs", "dag/owner", "")


def test_a_taken_job_is_noted_with_its_task_and_nothing_is_uploaded() -> None:
    case = Case()
    job = case.world.new_job("file-theirs")
    case.world.new_task(job)
    taken = case.submitter(shared=lambda shard, key, file_id: SHARED).submit(SHARD)
    assert (taken.provider_job_id, taken.task_id, taken.input_file_id) == ("batch_1", "task-1", "file-theirs")
    assert (taken.shared_with, taken.key, taken.attempt) == ("dag/owner", shard_key("dag|run|task", SHARD), 1)
    assert (case.names(), case.billed) == ([], ["batch_1"])
    assert case.submitter().submit(SHARD) == taken, "noted"


def test_a_job_that_shows_after_the_upload_is_taken_too(tmp_path: Path) -> None:
    case = Case()
    case.world = Files()
    case.world.new_job("file-theirs")
    taken = case.submitter(
        claim=lambda shard, key, file_id: dataclasses.replace(SHARED, own_claim_uri=f"{tmp_path.as_uri()}/own.json")
    ).submit(SHARD)
    assert (taken.shared_with, case.world.submissions) == ("dag/owner", [])


def test_after_a_spent_shared_job_the_run_sends_a_file_of_its_own() -> None:
    case = Case()
    job = case.world.new_job("file-theirs")
    case.submitter(shared=lambda shard, key, file_id: SHARED).submit(SHARD)
    job["status"] = "failed"
    own = case.submitter().submit(SHARD)
    assert (own.attempt, own.input_file_id) == (2, "file-1")
    assert not own.shared_with
    assert case.world.submissions == [{"input_file_id": "file-1"}]


@pytest.mark.parametrize(
    ("turned_away", "counts"),
    [("batch_1", "batch_2"), ("batch_0", "batch_1")],  # noted for the given job; noted for an earlier one
)
def test_a_wait_goes_on_with_a_shared_job_only_in_place_of_the_one_it_was_given(turned_away: str, counts: str) -> None:
    given = Job("key", 2, "batch_1", "file-1", None, "model")
    noted = replace(given, attempt=3, provider_job_id="batch_2", shared_with="dag/owner")
    memory = Memory({"key": Note(3, "file-2", job=noted).to_dict(), f"bar-{turned_away}": {"below": 1, "since": 0.0}})
    assert [job.provider_job_id for job in current_jobs([given], memory)] == [counts]


@pytest.mark.parametrize(
    ("runs", "versions", "owner"),
    [
        ({"nightly/sharer": "running"}, (VERSION,), "run"),
        ({}, (VERSION,), "orphan"),
    ],
)
def test_a_shared_job_is_an_orphan_where_all_its_runs_were_deleted(
    runs: dict[str, str], versions: tuple[str, ...], owner: str
) -> None:
    assert verdict(CLAIM, Airflow(runs, versions), [replace(CLAIM, run_id="sharer")]).owner == owner


def test_a_job_shared_with_another_airflows_run_is_left_alone() -> None:
    found = verdict(CLAIM, Airflow(), [replace(CLAIM, run_id="sharer", dag_version="another")])
    assert (found.owner, "and shared: of the run nightly/sharer" in found.why) == ("unknown", True)
