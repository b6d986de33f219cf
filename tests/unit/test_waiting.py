"""A wait for a bundle: what it looks at, and what it says."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, Refused, Throttled, Unavailable, UnknownAnswer
from opensearch_batch.flow.jobs import Job
from opensearch_batch.wait.job_list import BLIND, AskJobList, JobList
from opensearch_batch.wait.looking import Ask, AskCluster
from opensearch_batch.wait.progress import Progress
from opensearch_batch.wait.waiting import THROTTLED_SECONDS, TOLD_EVERY_SECONDS, Wait

JOBS = [Job("batch-k", 1, f"batch_{n}", f"file-{n}", f"task-{n}", "model-1") for n in range(5)]


class World:
    """Jobs by id with their status, shown alike by the list and by each look; counts what was asked."""

    def __init__(self) -> None:
        self.lists_files = True
        self.status = {job.provider_job_id: "in_progress" for job in JOBS}
        self.asked = Counter[str]()

    async def ask(self, step: Ask | AskJobList) -> Any:
        if isinstance(step, AskJobList):
            self.asked["list"] += 1
            return {id: self._document(id, files=self.lists_files) for id in step.ids}
        assert isinstance(step, AskCluster)
        task_id = step.call.path.rpartition("/")[2]
        self.asked[task_id] += 1
        return {"state": "RUNNING", "remote_job": self._document(task_id.replace("task-", "batch_"))}

    def _document(self, id: str, *, files: bool = True) -> dict[str, Any]:
        more: dict[str, Any] = {}
        if self.status[id] == "completed":
            more = {"output_file_id": "file-o"} if files else {"request_counts": {"total": 1, "completed": 1}}
        return {"id": id, "status": self.status[id], "created_at": 1000, **more}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def said() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def wait(world: World, said: list[tuple[int, str]]) -> Wait:
    return Wait(JOBS, providers.DEFAULT, world.ask, lambda level, text: said.append((level, text)), job_list=JobList())


def rounds(wait: Wait, count: int) -> None:
    async def go() -> None:
        for _ in range(count):
            await wait.look(0.0, fresh_seconds=0.0)

    asyncio.run(go())


def test_every_job_has_its_turn(wait: Wait, world: World) -> None:
    rounds(wait, 10)
    assert world.asked == {"list": 10} | {job.task_id: 2 for job in JOBS}
    assert wait.outcomes is None


def test_an_end_is_looked_at_once_and_the_last_two_without_the_list(wait: Wait, world: World) -> None:
    for id in ("batch_0", "batch_1", "batch_2"):
        world.status[id] = "completed"
    rounds(wait, 1)
    assert [world.asked[f"task-{n}"] for n in range(3)] == [1, 1, 1]
    world.asked.clear()
    rounds(wait, 3)
    assert world.asked == {"task-3": 3, "task-4": 3}
    world.status["batch_3"] = world.status["batch_4"] = "failed"
    rounds(wait, 1)
    assert wait.outcomes is not None
    assert [outcome.state for outcome in wait.outcomes] == ["completed"] * 3 + ["failed"] * 2


def test_a_list_that_names_no_files_holds_no_job_that_has_them(wait: Wait, world: World) -> None:
    world.lists_files = False
    world.status = dict.fromkeys(world.status, "completed")
    rounds(wait, 1)
    assert wait.outcomes is not None
    assert world.asked == {"list": 1} | {job.task_id: 1 for job in JOBS}


def test_a_bundle_without_jobs_has_ended(world: World) -> None:
    wait = Wait([], providers.DEFAULT, world.ask, lambda level, text: None)
    rounds(wait, 1)
    assert (wait.outcomes, world.asked) == ([], {})


def test_a_status_nobody_knows_is_raised_from_the_list_too(wait: Wait, world: World) -> None:
    world.status["batch_4"] = "paused"
    with pytest.raises(UnknownAnswer, match="batch_4.*paused"):
        rounds(wait, 1)


def test_a_job_is_told_when_its_status_changes(wait: Wait, world: World, said: list[tuple[int, str]]) -> None:
    rounds(wait, 3)
    assert sorted(text.rpartition(": ")[2] for _, text in said) == ["in_progress"] * 5
    world.status["batch_0"] = "completed"
    rounds(wait, 2)
    assert said[5:] == [(logging.INFO, "job batch_0 (task task-0): completed")]


def test_how_far_it_is_is_told_when_it_changes_at_most_every_five_minutes_and_once_an_hour(
    wait: Wait, said: list[tuple[int, str]]
) -> None:
    def told_at(*looks: tuple[float, int]) -> list[float]:
        at = []
        for now, done in looks:
            before = len(said)
            wait.tell(Progress(100, done, 0, 5, 0), 1e9 + now)
            at += [now] * (len(said) - before)
        return at

    assert told_at((0, 0), (60, 10), (299, 20), (300, 30), (900, 30), (3899, 30), (3900, 30)) == [0, 300, 3900]
    assert said[1] == (logging.INFO, "30 of 100 rows done, 0 of 5 jobs ended")


def test_an_error_of_the_list_is_told_when_it_changes_and_now_and_then(
    world: World, said: list[tuple[int, str]]
) -> None:
    errors = iter(["b", "a", "a", "b", "b", "b"])

    async def ask(step: Ask | AskJobList) -> Any:
        if isinstance(step, AskJobList):
            raise Unavailable(next(errors))
        return await world.ask(step)

    wait = Wait(JOBS, providers.DEFAULT, ask, lambda level, text: said.append((level, text)), job_list=JobList())
    looks = []
    for now in (0.0, 1.0, 2.0, 3.0, 3.0 + TOLD_EVERY_SECONDS, 3.5 + TOLD_EVERY_SECONDS):
        asyncio.run(wait.look(now, fresh_seconds=0.0))
        looks.append(
            [
                text.removeprefix("no list of jobs from the provider: ")
                for level, text in said
                if level == logging.WARNING
            ]
        )
        said.clear()
    assert looks == [["b"], ["a"], [], ["b"], [], ["b"]]


@pytest.mark.parametrize(
    ("error", "looked_at_after"),
    [(Refused("HTTP 403"), 1), (Unavailable("HTTP 503"), BLIND), (Throttled("HTTP 429"), None)],
)
def test_without_a_list_each_job_is_looked_at_once_that_does_not_pass(
    world: World, said: list[tuple[int, str]], error: BatchError, looked_at_after: int | None
) -> None:
    async def ask(step: Ask | AskJobList) -> Any:
        if isinstance(step, AskJobList):
            raise error
        return await world.ask(step)

    wait = Wait(JOBS, providers.DEFAULT, ask, lambda level, text: said.append((level, text)), job_list=JobList())
    for number in range(1, BLIND + 2):
        rounds(wait, 1)
        if looked_at_after is None or number < looked_at_after:
            assert not world.asked, number
        else:
            assert set(world.asked) == {job.task_id for job in JOBS}, number


def test_a_list_that_is_throttled_for_long_is_gone_round(world: World) -> None:
    async def ask(step: Ask | AskJobList) -> Any:
        if isinstance(step, AskJobList):
            raise Throttled("HTTP 429")
        return await world.ask(step)

    wait = Wait(JOBS, providers.DEFAULT, ask, lambda level, text: None, job_list=JobList())
    looked_at = []
    for now in range(0, 3 * THROTTLED_SECONDS, THROTTLED_SECONDS // 3):
        world.asked.clear()
        asyncio.run(wait.look(float(now), fresh_seconds=0.0))
        if world.asked:
            looked_at.append(now)
    assert looked_at == [THROTTLED_SECONDS, 2 * THROTTLED_SECONDS + THROTTLED_SECONDS // 3]
