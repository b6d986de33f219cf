"""A deferred wait: its pauses, and whose state decides at its end. Chance and sleep are in the hands of the tests."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from opensearch_batch.flow.jobs import Job
from opensearch_batch.tasks import wait_trigger
from opensearch_batch.tasks.wait_trigger import FRESH, BatchTrigger

JOB = Job("batch-k", 1, "batch_1", "file-1", None, "model-1")


class Stopped(BaseException):
    """Enough was seen."""


async def running(step: Any) -> Any:
    return {"id": "batch_1", "status": "in_progress", "created_at": 1000}


def trigger_of(deadline: float) -> BatchTrigger:
    return BatchTrigger(
        jobs=[JOB.to_dict()],
        provider="openai",
        opensearch_conn_id="opensearch_default",
        provider_conn_id="openai_default",
        poll_seconds=10.0,
        deadline=deadline,
    )


def pauses(monkeypatch: pytest.MonkeyPatch, chance: int, deadline: float, count: int = 1) -> list[float]:
    """The first pauses; `chance` is 0 for the shortest that chance allows, 1 for the longest.

    Only the trigger's own names are replaced: servers of other tests sleep in threads of this process.
    """
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == count:
            raise Stopped

    monkeypatch.setattr(wait_trigger, "random", SimpleNamespace(uniform=lambda *bounds: bounds[chance]))
    monkeypatch.setattr(wait_trigger, "asyncio", SimpleNamespace(sleep=sleep))
    with pytest.raises(Stopped):
        asyncio.run(trigger_of(deadline)._wait(running))
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


@pytest.mark.parametrize(
    ("map_index", "state"), [(-1, "failed"), (None, "failed"), (0, "success"), (3, "deferred"), (4, None)]
)
def test_the_state_is_that_of_the_own_index_the_first_too(
    map_index: int | None, state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"r": {"wait": "failed", "wait_0": "success", "wait_3": "deferred"}}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **asked: told)
    trigger = trigger_of(0.0)
    trigger.task_instance = SimpleNamespace(  # type: ignore[assignment]
        dag_id="d", task_id="wait", run_id="r", map_index=map_index
    )
    assert asyncio.run(trigger._task_state()) == state
