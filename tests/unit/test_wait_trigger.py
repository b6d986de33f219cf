"""A deferred wait: its pauses, and whose state decides at its end. Chance and sleep are in the hands of the tests."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.tasks import wait_trigger
from opensearch_batch.tasks.wait_trigger import FRESH, BatchTrigger
from opensearch_batch.wait.waiting import SEVERAL

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


def test_an_event_says_how_long_the_wait_was() -> None:
    async def completed(step: Any) -> Any:
        return {"id": "batch_1", "status": "completed", "output_file_id": "file-o"}

    trigger = trigger_of(time.time() + 1000)
    trigger.since = time.time() - 100
    event = asyncio.run(trigger._wait(completed))
    assert [outcome["state"] for outcome in event["outcomes"]] == ["completed"]
    assert 100 <= event["waited_seconds"] < 200


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
    ("status", "asked"),
    [("in_progress", ["look", "cancel"]), ("completed", ["look"]), ("cancelling", ["look"])],
)
def test_only_a_job_that_runs_is_cancelled(status: str, asked: list[str]) -> None:
    steps: list[str] = []

    async def ask(step: Any) -> Any:
        steps.append("cancel" if step.cancel else "look")
        return {"id": "batch_1", "status": status, "output_file_id": "file-o"}

    asyncio.run(trigger_of(0.0)._cancel(JOB, ask))
    assert steps == asked


@pytest.mark.parametrize("count", [SEVERAL - 1, SEVERAL])
def test_several_jobs_share_the_list_and_fewer_are_looked_at_singly(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", "openai://:sk-fake@127.0.0.1")

    async def shared() -> bool:
        with ExitStack() as stack:
            return await trigger_of(0.0)._job_list([f"batch_{n}" for n in range(count)], stack) is not None

    assert asyncio.run(shared()) == (count == SEVERAL)


@pytest.mark.parametrize(
    ("error", "told", "logged"),
    [
        (Refused("no such job"), {"version": 1, "error": "Refused: no such job", "terminal": True}, []),
        (Unavailable("HTTP 503"), {"version": 1, "error": "Unavailable: HTTP 503", "terminal": False}, []),
        (
            AirflowNotFoundException("no connection x"),
            {"version": 1, "error": "no connection x", "terminal": True},
            [],
        ),
        (
            ZeroDivisionError("odd"),
            {"version": 1, "error": "ZeroDivisionError: odd", "terminal": False},
            ["The wait failed in an unforeseen way"],
        ),
    ],
    ids=["final", "passing", "no connection", "unforeseen"],
)
def test_an_error_ends_the_wait_with_an_event_and_an_unforeseen_one_is_logged_whole(
    error: Exception, told: dict[str, Any], logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", "openai://:sk-fake@127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", "http://127.0.0.1:9200")
    lines: list[str] = []

    class Broken(BatchTrigger):
        async def wait(self) -> dict[str, Any]:
            raise error

    async def event() -> Any:
        trigger = Broken(**trigger_of(0.0).serialize()[1])
        monkeypatch.setattr(Broken, "log", SimpleNamespace(error=lambda text, **more: lines.append(text)))
        return [each.payload async for each in trigger.run()]

    assert asyncio.run(event()) == [told]
    assert lines == logged


@pytest.mark.parametrize("name", ["PROVIDER", "OPENSEARCH", "CREDENTIAL"])
def test_an_event_shows_no_key_of_the_waits_connections(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster relays the provider's words, and those may echo a key."""
    key = f"fake-key-of-{name}".lower()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}_HERE", f"http://user:{key}@127.0.0.1")
    arguments = trigger_of(0.0).serialize()[1] | {
        "provider_conn_id": "provider_here",
        "opensearch_conn_id": "opensearch_here",
        "credential_conn_ids": ["credential_here"],
    }

    class Echo(BatchTrigger):
        async def wait(self) -> dict[str, Any]:
            raise Refused(f"the key {key} is not valid")

    async def event() -> Any:
        return [each.payload async for each in Echo(**arguments).run()]

    (told,) = asyncio.run(event())
    assert told["error"] == "Refused: the key *** is not valid"


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
