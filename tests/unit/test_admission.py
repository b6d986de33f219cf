"""Admission: what counts as in flight, who has room, who is next in the queue. Time and lists are made up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import Refused, SpecError, Unavailable
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.admission import (
    ON_ITS_WAY_SECONDS,
    Admission,
    Limits,
    LiveJob,
    MustWait,
    Wanted,
    in_flight,
    may_submit,
    pool_command,
    pool_name,
)
from opensearch_batch.submit.submission import Submitter
from opensearch_batch.tasks.turn_trigger import PROMISE_SECONDS, TurnQueue
from tests.unit.fakes import Clock, Memory, World

NOW = 1_000_000.0
MODEL = "gpt-4o-mini"


def world(*jobs: dict[str, Any], uploads: tuple[dict[str, Any], ...] = ()) -> World:
    made = World(about={upload["id"]: upload for upload in uploads})
    made.files = [(upload["filename"], upload["id"]) for upload in uploads]
    made.jobs = [
        {"id": f"batch_{n}", "input_file_id": f"file-{n}", "status": "validating"} | job for n, job in enumerate(jobs)
    ]
    return made


def counted(made: World, model: str | None = MODEL, limits: Limits | None = None) -> list[LiveJob]:
    return in_flight(made, providers.DEFAULT, model, limits or Limits(tokens=1000), NOW)


def live_job(n: int, tokens: int = 10) -> LiveJob:
    return LiveJob(f"batch_{n}", f"file-{n}", tokens)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("validating", True),
        ("in_progress", True),
        ("finalizing", True),
        ("cancelling", True),
        ("a status of next year", True),
        ("completed", False),
        ("failed", False),
        ("expired", False),
        ("cancelled", False),
    ],
)
def test_a_job_counts_until_it_is_known_to_have_ended(status: str, counts: bool) -> None:
    job = {"status": status, "output_file_id": "file-o"}
    assert [each.job_id for each in counted(world(job))] == (["batch_0"] if counts else [])


@pytest.mark.parametrize(
    ("model", "counts"),
    [(None, True), (MODEL, True), (f"{MODEL}-2024-07-18", True), ("gpt-4o", False), ("text-embedding-3-small", False)],
)
def test_a_job_of_another_model_does_not_count_once_the_vendor_names_it(model: str | None, counts: bool) -> None:
    made = world({"model": model})
    assert len(counted(made)) == counts
    assert len(counted(made, None)) == 1


def test_jobs_older_than_any_can_live_are_not_read() -> None:
    made = world({"created_at": NOW - providers.DEFAULT.JOB_LIFE_SECONDS - 1}, {"created_at": NOW - 100})
    assert [each.job_id for each in counted(made)] == ["batch_1"]


def test_a_job_counts_as_a_quarter_of_its_files_bytes() -> None:
    made = world({}, {}, uploads=({"id": "file-0", "filename": "a.jsonl", "bytes": 401, "created_at": NOW},))
    assert [each.tokens for each in counted(made)] == [0, 101]


def test_a_file_that_no_list_of_late_uploads_shows_is_asked_for() -> None:
    made = world({"input_file_id": "file-old"}, {"input_file_id": "file-deleted"})
    made.about["file-old"] = {"bytes": 401}
    assert {each.file_id: each.tokens for each in counted(made)} == {"file-old": 101, "file-deleted": 0}


def test_no_more_of_the_list_is_read_than_fills_the_limit_of_jobs() -> None:
    made = world({"status": "completed", "output_file_id": "file-o"}, {}, {"status": "failed"}, {})
    assert len(counted(made, limits=Limits(jobs=2))) == 2
    assert made.listed == ["batch_3", "batch_2", "batch_1"]


def test_where_the_provider_refuses_its_lists_no_limit_can_hold() -> None:
    class Closed(World):
        def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
            raise Refused("list batches: HTTP 403: not with this key", status=403)

    with pytest.raises(Refused, match=r"cannot be counted.*HTTP 403.*right to list.*max_jobs_in_flight"):
        counted(Closed())


def test_an_upload_of_ours_without_a_job_may_be_on_its_way() -> None:
    def upload(id: str, name: str, age: float) -> dict[str, Any]:
        return {"id": id, "filename": name, "bytes": 40, "created_at": NOW - age}

    made = world(
        {"status": "completed", "output_file_id": "file-o"},
        uploads=(
            upload("file-0", "batch-0-a1.jsonl", 5),
            upload("file-a", "batch-a-a1.jsonl", 5),
            upload("file-b", "batch-b-a1.jsonl", ON_ITS_WAY_SECONDS + 1),
            upload("file-c", "somebody.jsonl", 5),
        ),
    )
    assert counted(made) == [LiveJob(None, "file-a", 10)]


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [(Limits(jobs=9), ON_ITS_WAY_SECONDS), (Limits(tokens=9), providers.DEFAULT.JOB_LIFE_SECONDS)],
)
def test_uploads_are_read_back_as_far_as_a_size_or_a_submission_under_way_can_be(
    limits: Limits, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, since = world(), list[float]()

    def read(at: float) -> Iterator[dict[str, Any]]:
        since.append(at)
        return iter(())

    monkeypatch.setattr(made, "recent_uploads", read)
    assert counted(made, limits=limits) == []
    assert since == [NOW - seconds]


@pytest.mark.parametrize(
    ("limits", "wanted", "room"),
    [
        (Limits(), {}, True),
        (Limits(jobs=3), {}, True),
        (Limits(jobs=2), {}, False),
        (Limits(tokens=25), {"tokens": 5}, True),
        (Limits(tokens=25), {"tokens": 6}, False),
        (Limits(jobs=3, tokens=25), {"tokens": 6}, False),
        (Limits(), {"below": 2, "below_until": NOW + 1}, False),
        (Limits(), {"below": 2, "below_until": NOW - 1}, True),
        (Limits(), {"below": 2, "below_until": NOW}, True),
        (Limits(), {"below": 3, "below_until": NOW + 1}, True),
    ],
)
def test_room_beside_two_jobs_of_ten_tokens(limits: Limits, wanted: dict[str, Any], room: bool) -> None:
    assert may_submit(limits, [live_job(1), live_job(2)], replace(Wanted("shard 0", 1), **wanted), NOW) is room


def test_where_nothing_is_in_flight_there_is_room_for_what_was_turned_away() -> None:
    assert may_submit(Limits(), [], Wanted("shard 0", 1, below=1, below_until=NOW + 1), NOW)


def test_a_jobs_own_upload_is_not_in_its_way_but_a_job_of_the_same_file_is() -> None:
    wanted = Wanted("shard 0", 1, file_id="file-1")
    assert may_submit(Limits(jobs=1), [LiveJob(None, "file-1", 10)], wanted, NOW)
    assert not may_submit(Limits(jobs=1), [live_job(1)], wanted, NOW)


def test_a_job_that_never_has_room_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"counts as 26 tokens .* lower limits\.max_bytes to 100"):
        may_submit(Limits(tokens=25), [], Wanted("shard 0", 26), NOW)
    assert may_submit(Limits(tokens=25), [], Wanted("shard 0", 25), NOW)


def test_images_make_more_of_a_job_and_of_the_jobs_beside_it() -> None:
    wanted = Wanted("shard 0", 100, counted=10)
    assert may_submit(Limits(tokens=300), [live_job(1), live_job(2)], wanted, NOW)
    assert not may_submit(Limits(tokens=299), [live_job(1), live_job(2)], wanted, NOW)
    with pytest.raises(SpecError, match="counts as 100 tokens .its bytes / 4, and its images"):
        may_submit(Limits(tokens=99), [], wanted, NOW)


def test_a_job_without_images_waits_in_a_triggerer_of_the_version_before_too() -> None:
    assert "counted" not in Wanted("shard 0", 5).to_dict()


@pytest.mark.parametrize(("tokens", "wanted"), [(9, (10, UNSET)), (10, (10, UNSET)), (11, (11, 10))])
def test_an_estimate_counts_where_images_make_it_more_than_the_bytes(tokens: int, wanted: tuple[int, Any]) -> None:
    with pytest.raises(MustWait) as waits:
        Admission(Limits(jobs=1), lambda: [live_job(1)]).admit("shard 0", 40, None, tokens)
    assert (waits.value.wanted.tokens, waits.value.wanted.counted) == wanted


def test_without_bytes_and_an_estimate_a_job_counts_as_no_tokens() -> None:
    with pytest.raises(MustWait) as waits:
        Admission(Limits(jobs=1), lambda: [live_job(1)]).admit("parameters", 0, None)
    assert waits.value.wanted.tokens == 0


def test_an_admission_counts_once_and_adds_what_it_admits() -> None:
    asked = []

    def count() -> list[LiveJob]:
        asked.append(1)
        return [live_job(1)]

    admission = Admission(Limits(jobs=3), count)
    admission.admit("shard 0", 40, None)
    admission.admit("shard 1", 40, None)
    with pytest.raises(MustWait, match="shard 2 waits for its turn: at least 3 other jobs"):
        admission.admit("shard 2", 40, None)
    assert (len(asked), admission.others) == (1, 2)


def test_a_submitter_without_room_uploads_nothing_and_keeps_finding_what_it_submitted() -> None:
    made, memory, clock = World(), Memory(), Clock()

    def submitter() -> Submitter:
        admission = Admission(Limits(jobs=1), lambda: in_flight(made, providers.DEFAULT, None, Limits(jobs=1), 0.0))
        return Submitter(
            send=made.send,
            store=made,
            provider=providers.DEFAULT,
            memory=memory,
            run="dag|run|task",
            model_id="model-1",
            settle_seconds=0.0,
            admission=admission,
            now=clock.now,
            sleep=clock.sleep,
        )

    first, second = (Shard(n, f"mem://{n}", f"sha-{n}", 10, 100, 25) for n in range(2))
    job = submitter().submit(first)
    with pytest.raises(MustWait):
        submitter().submit(second)
    assert (submitter().submit(first), len(made.files), len(made.jobs)) == (job, 1, 1)
    made.jobs[0].update(status="completed", output_file_id="file-o")
    assert submitter().submit(second).provider_job_id == "batch_2"


class Provider:
    """Counts are what it holds; `live` may be changed between looks."""

    def __init__(self, *live: LiveJob) -> None:
        self.live, self.asked = list(live), 0

    async def __call__(self) -> list[LiveJob]:
        self.asked += 1
        return list(self.live)


def turns(queue: TurnQueue) -> list[str]:
    return [waiter.wanted.name for waiter in queue.waiters if waiter.turn.is_set()]


def wanted(name: str, since: float, tokens: int = 10) -> Wanted:
    return Wanted(name, tokens, f"file of {name}", since)


def test_the_oldest_go_first_and_a_turn_given_counts() -> None:
    async def run() -> None:
        queue, provider = TurnQueue(), Provider(live_job(1), live_job(2))
        with queue.joined(wanted("b", 2)), queue.joined(wanted("a", 1)), queue.joined(wanted("c", 3)):
            await queue.look(provider, Limits(jobs=3), 0)
            assert turns(queue) == ["a"]
            await queue.look(provider, Limits(jobs=3), 0)
            assert turns(queue) == ["a"], "a is promised the room"
            provider.live = [live_job(2), LiveJob("batch_a", "file of a", 10)]
            await queue.look(provider, Limits(jobs=3), 0)
            assert turns(queue) == ["b", "a"], "a's job shows, so its promise is kept, and 1 has ended"

    asyncio.run(run())


def test_a_promise_that_nobody_takes_up_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        queue, provider = TurnQueue(), Provider()
        with queue.joined(wanted("a", 1)), queue.joined(wanted("b", 2)):
            await queue.look(provider, Limits(jobs=1), 0)
            assert turns(queue) == ["a"]
            later = time.time() + PROMISE_SECONDS
            monkeypatch.setattr("opensearch_batch.tasks.turn_trigger.time.time", lambda: later)
            await queue.look(provider, Limits(jobs=1), 0)
            assert turns(queue) == ["a", "b"]

    asyncio.run(run())


def test_a_large_job_is_not_overtaken_by_small_ones() -> None:
    async def run() -> None:
        queue, provider = TurnQueue(), Provider(live_job(1, tokens=60))
        with queue.joined(wanted("large", 1, tokens=50)), queue.joined(wanted("small", 2, tokens=5)):
            await queue.look(provider, Limits(tokens=100), 0)
            assert turns(queue) == []
            provider.live = []
            await queue.look(provider, Limits(tokens=100), 0)
            assert turns(queue) == ["large", "small"]

    asyncio.run(run())


def test_the_whole_line_asks_the_provider_once_an_interval() -> None:
    async def run() -> int:
        queue, provider = TurnQueue(), Provider(live_job(1))
        await asyncio.gather(*(queue.look(provider, Limits(jobs=1), 60) for _ in range(100)))
        return provider.asked

    assert asyncio.run(run()) == 1


def test_nor_does_it_where_the_provider_does_not_answer() -> None:
    asked = []

    async def down() -> list[LiveJob]:
        asked.append(1)
        raise Unavailable("HTTP 503")

    async def run() -> list[Any]:
        queue = TurnQueue()
        return await asyncio.gather(*(queue.look(down, Limits(jobs=1), 60) for _ in range(100)), return_exceptions=True)

    assert [type(one) for one in asyncio.run(run()) if one] == [Unavailable]
    assert len(asked) == 1


def test_nothing_is_told_of_what_is_in_flight_before_the_provider_has_answered() -> None:
    answers: list[list[LiveJob] | Unavailable] = [Unavailable("HTTP 503"), [live_job(1)]]

    async def ask() -> list[LiveJob]:
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def run() -> None:
        queue = TurnQueue()
        with pytest.raises(Unavailable):
            await queue.look(ask, Limits(jobs=1), 0)
        assert not queue.counted
        await queue.look(ask, Limits(jobs=1), 0)
        assert queue.counted
        assert str(queue).startswith("at least 1 jobs are in flight")

    asyncio.run(run())


def test_threads_that_share_an_admission_get_no_more_jobs_than_the_limit() -> None:
    asked, twice = [], threading.Event()

    def count() -> list[LiveJob]:
        asked.append(1)
        if len(asked) > 1:
            twice.set()
        twice.wait(0.2)
        return [live_job(0)]

    admission = Admission(Limits(jobs=4), count)

    def admitted(n: int) -> bool:
        try:
            admission.admit(f"shard {n}", 40, None)
        except MustWait:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert (sum(pool.map(admitted, range(64))), len(asked)) == (3, 1)


def test_the_pools_name_and_the_command_that_makes_it() -> None:
    assert pool_name("my model/v2") == "opensearch_batch_my_model_v2"
    assert pool_command("p").startswith("airflow pools set p 1 ")
