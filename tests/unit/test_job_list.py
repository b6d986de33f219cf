"""One walk of the provider's list for all waits that share it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from opensearch_batch.errors import Throttled
from opensearch_batch.wait.job_list import AskJobList, JobList, Walk, job_list_of
from tests.unit.fakes import Clock


class Provider:
    """Lists the jobs it has; remembers the walks. `trouble` is raised instead."""

    def __init__(self, *ids: str) -> None:
        self.ids, self.walks = set(ids), list[AskJobList]()
        self.trouble: list[Exception] = []

    async def walk(self, asked: AskJobList) -> Mapping[str, Mapping[str, Any]]:
        self.walks.append(asked)
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble.pop(0)
        return {id: {"id": id} for id in sorted(asked.ids & self.ids)}


A, B = [f"a{n}" for n in range(60)], [f"b{n}" for n in range(60)]


def test_waits_that_ask_at_once_share_a_walk() -> None:
    provider = Provider(*A, *B)

    async def both() -> tuple[Walk, Walk]:
        with job_list_of("server", A) as mine, job_list_of("server", B) as yours:
            assert mine is yours
            return await asyncio.gather(
                mine.walk(frozenset(A), provider.walk, 60), yours.walk(frozenset(B), provider.walk, 60)
            )

    first, second = asyncio.run(both())
    assert first is second
    assert set(first.found) == {*A, *B}
    assert len(provider.walks) == 1


def test_another_key_is_another_roster_and_the_last_to_leave_takes_it_along() -> None:
    async def keys() -> None:
        with job_list_of("one", A) as one, job_list_of("two", A) as two:
            assert one is not two
        with job_list_of("one", A) as again:
            assert again is not one

    asyncio.run(keys())


def test_a_walk_is_made_anew_when_it_is_old_or_did_not_look_for_a_job() -> None:
    provider, clock = Provider(*A, *B), Clock()
    job_list = JobList(clock.now)

    async def ask(ids: list[str]) -> int:
        with job_list.following(ids):
            await job_list.walk(frozenset(ids), provider.walk, 60)
        return len(provider.walks)

    async def asked() -> list[int]:
        seen = [await ask(A), await ask(A)]
        clock.sleep(59)
        seen += [await ask(A), await ask(B)]
        clock.sleep(60)
        return [*seen, await ask(B)]

    assert asyncio.run(asked()) == [1, 1, 1, 2, 3]


@pytest.mark.parametrize("error", [Throttled("429"), ZeroDivisionError()])
def test_what_goes_wrong_is_told_and_never_raised(error: Exception) -> None:
    provider = Provider(*A)
    provider.trouble = [error, error]
    job_list = JobList()

    async def asked() -> list[Walk]:
        with job_list.following(A):
            return [await job_list.walk(frozenset(A), provider.walk, 0) for _ in range(3)]

    first, second, third = asyncio.run(asked())
    assert [first.failures, second.failures, third.failures] == [1, 2, 0]
    assert isinstance(first.error, Throttled) == isinstance(error, Throttled)
    assert (third.error, set(third.found)) == (None, set(A))


def test_a_wait_that_is_ended_in_the_middle_of_a_walk_leaves_the_others_theirs() -> None:
    provider = Provider(*A)

    async def asked() -> Walk:
        with job_list_of("server", A) as job_list:
            first = asyncio.create_task(job_list.walk(frozenset(A), provider.walk, 60))
            second = asyncio.create_task(job_list.walk(frozenset(A), provider.walk, 60))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await second

    assert set(asyncio.run(asked()).found) == set(A)
    assert len(provider.walks) == 2


def test_a_walk_goes_no_further_back_than_the_oldest_job_and_costs_no_more_than_it_saves() -> None:
    provider, job_list = Provider(*A), JobList()

    async def asked() -> None:
        with job_list.following(A):
            await job_list.walk(frozenset(A), provider.walk, 0)
            for number, id in enumerate(A):
                job_list.made(id, 1000.0 + number)
            await job_list.walk(frozenset(A), provider.walk, 0)
            for id in A[:-3]:
                job_list.ended(id)
            await job_list.walk(frozenset(A[-3:]), provider.walk, 0)
            for id in A[-3:-1]:
                job_list.ended(id)
            await job_list.walk(frozenset(A[-1:]), provider.walk, 0)

    asyncio.run(asked())
    assert [(len(walk.ids), walk.most_pages, walk.since) for walk in provider.walks] == [
        (60, 30, None),
        (60, 30, 1000.0),
        (3, 1, 1057.0),
        (1, 1, 1059.0),
    ]
