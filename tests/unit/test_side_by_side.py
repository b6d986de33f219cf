"""Side by side: bounded threads, results in order, errors as one, and no shard submitted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from opensearch_batch import providers
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError, OutcomeUnknown, Refused, Throttled, Unavailable
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.submission import Submitter
from opensearch_batch.tasks.side_by_side import AT_ONCE, NAMED, OneAtATime, side_by_side
from tests.unit.fakes import Clock, Memory, World


def name(number: int) -> str:
    return f"shard {number}"


def fails(errors: dict[int, BatchError], attempted: list[int] | None = None) -> Callable[[int], int]:
    def work(number: int) -> int:
        if attempted is not None:
            attempted.append(number)
        if number in errors:
            raise errors[number]
        return number * 10

    return work


def test_results_come_in_the_order_of_the_items_whichever_ends_first() -> None:
    second_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(10)
        if number == 1:
            second_done.set()
        return number * 10

    assert side_by_side(work, [0, 1, 2], name) == [0, 10, 20]


def test_as_many_as_allowed_run_at_once_and_no_more() -> None:
    meet, lock, running, most = threading.Barrier(AT_ONCE), threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meet.wait(10)  # broken unless so many are here together
        with lock:
            running -= 1

    side_by_side(work, range(3 * AT_ONCE), name)
    assert most == AT_ONCE


@pytest.mark.parametrize("items", [[], [7]])
def test_one_item_needs_no_thread(items: list[int]) -> None:
    assert side_by_side(lambda number: threading.current_thread(), items, name) == [threading.main_thread()] * len(
        items
    )


def test_one_error_stops_no_other_item_and_names_its_own() -> None:
    attempted: list[int] = []
    with pytest.raises(Unavailable, match=r"^1 of 9: shard 2: down$") as caught:
        side_by_side(fails({2: Unavailable("down", status=503)}, attempted), range(9), name)
    assert sorted(attempted) == list(range(9))
    assert caught.value.status == 503


def test_the_first_error_is_raised_and_the_others_are_named_after_the_longest_pause() -> None:
    errors: dict[int, BatchError] = {
        1: Throttled("slow down", retry_after_seconds=5),
        3: Unavailable("shard 3: down"),
        4: Throttled("slow down", retry_after_seconds=70),
    }
    with pytest.raises(Throttled) as caught:
        side_by_side(fails(errors), range(6), name)
    assert str(caught.value) == "3 of 6: shard 1: slow down; shard 3: down; shard 4: slow down"
    assert caught.value.retry_after_seconds == 70


def test_what_repeating_cannot_help_comes_first() -> None:
    errors: dict[int, BatchError] = {0: Unavailable("down"), 5: Refused("no")}
    with pytest.raises(Refused, match="^2 of 6: shard 5: no; shard 0: down$"):
        side_by_side(fails(errors), range(6), name)


def test_many_errors_are_counted() -> None:
    with pytest.raises(Unavailable, match="^20 of 20: shard 0: down;.*; and 15 more$") as caught:
        side_by_side(fails({number: Unavailable("down") for number in range(20)}), range(20), name)
    assert str(caught.value).count("down") == NAMED


def test_an_error_that_is_not_ours_is_raised_as_it_is_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError, match="a fault of ours"):
        side_by_side(work, range(1000), name, at_once=2)
    assert len(begun) < 1000


SHARDS = [Shard(number, f"mem://{number}", f"sha-{number}", 10, 100, 25) for number in range(12)]


class Bundle:
    """Twelve shards; `refuse` are the shards whose next upload the provider refuses."""

    def __init__(self) -> None:
        self.world, self.memory, self.clock = World(), Memory(), Clock()
        self.refuse: set[int] = set()
        self.listings = 0
        self._turn = threading.Lock()

    def upload(self, shard: Shard, name: str) -> str:
        with self._turn:
            if (number := int(shard.uri.removeprefix("mem://"))) in self.refuse:
                self.refuse.discard(number)
                raise Unavailable("upload: HTTP 503")
            return self.world.upload(shard, name)

    def find_uploads(self, prefix: str) -> dict[str, str]:
        self.listings += 1
        return self.world.find_uploads(prefix)

    def send(self, call: Call) -> object:
        with self._turn:
            return self.world.send(call)

    def __getattr__(self, name: str) -> object:
        return getattr(self.world, name)

    def submit(self) -> list[str]:
        submitter = Submitter(
            send=self.send,
            store=self,  # type: ignore[arg-type]
            provider=providers.DEFAULT,
            memory=OneAtATime(self.memory),
            run="dag|run|task",
            model_id="model-1",
            settle_seconds=60.0,
            now=self.clock.now,
            sleep=self.clock.sleep,
        )
        jobs = side_by_side(submitter.submit, SHARDS, lambda shard: shard.name)
        assert [job.shard and job.shard.index for job in jobs] == list(range(12))
        return [job.provider_job_id for job in jobs]


def test_a_bundle_is_submitted_once_in_order_with_one_listing() -> None:
    bundle = Bundle()
    first = bundle.submit()
    assert len(set(first)) == 12
    assert bundle.listings == 1
    assert bundle.submit() == first
    assert (len(bundle.world.jobs), len(bundle.world.files)) == (12, 12)


def test_after_two_of_twelve_failed_a_retry_submits_those_two_only() -> None:
    bundle = Bundle()
    bundle.refuse = {3, 8}
    with pytest.raises(Unavailable, match="^2 of 12: shard 3: upload: HTTP 503; shard 8: upload: HTTP 503$"):
        bundle.submit()
    before = {job["id"] for job in bundle.world.jobs}
    assert len(before) == 10
    after = bundle.submit()
    assert before < set(after)
    assert (len(bundle.world.jobs), len(bundle.world.files)) == (12, 12)


def test_a_lost_answer_among_the_others_is_looked_up_and_not_sent_again() -> None:
    bundle = Bundle()
    bundle.world.lose_answer(OutcomeUnknown("HTTP 500: Read timed out."))
    assert len(set(bundle.submit())) == 12
    assert len(bundle.world.jobs) == 12
