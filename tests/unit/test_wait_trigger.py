"""The pauses of a deferred wait, with the chance and the sleep of the event loop in the test's hands."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from opensearch_batch.flow.jobs import Job
from opensearch_batch.tasks import wait_trigger
from opensearch_batch.tasks.wait_trigger import FRESH, BatchTrigger

JOB = Job("batch-k", 1, "batch_1", "file-1", None, "model-1")


class Stopped(BaseException):
    """Enough was seen."""


async def running(step: Any) -> Any:
    return {"id": "batch_1", "status": "in_progress", "created_at": 1000}


def pauses(monkeypatch: pytest.MonkeyPatch, chance: int, deadline: float, count: int = 1) -> list[float]:
    """The first pauses; `chance` is 0 for the shortest that chance allows, 1 for the longest."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == count:
            raise Stopped

    monkeypatch.setattr(wait_trigger.random, "uniform", lambda *bounds: bounds[chance])
    monkeypatch.setattr(wait_trigger.asyncio, "sleep", sleep)
    trigger = BatchTrigger(
        jobs=[JOB.to_dict()],
        provider="openai",
        opensearch_conn_id="opensearch_default",
        provider_conn_id="openai_default",
        poll_seconds=10.0,
        deadline=deadline,
    )
    with pytest.raises(Stopped):
        asyncio.run(trigger._wait(running))
    return slept


def test_no_pause_is_so_short_that_a_walk_of_the_list_would_serve_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    (shortest,) = pauses(monkeypatch, 0, time.time() + 1000)
    assert FRESH * 10 < shortest < 10


def test_chance_makes_a_pause_longer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    (longest,) = pauses(monkeypatch, 1, time.time() + 1000)
    assert 10 < longest <= 12


def test_the_last_pause_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    (last,) = pauses(monkeypatch, 1, time.time() + 0.9)
    assert 0 < last <= 0.9
