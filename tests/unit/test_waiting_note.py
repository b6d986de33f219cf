"""What a wait notes for the page of all batches, and that a note costs no wait."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from opensearch_batch.tasks import waiting_note
from opensearch_batch.tasks.waiting_note import WaitingNote
from opensearch_batch.wait.progress import Looked, Progress

TASK = SimpleNamespace(dag_id="nightly", run_id="manual__1", task_id="shard.wait_for_batch", map_index=3)


def looked(seconds: float, done: int) -> Looked:
    return Looked(seconds, Progress(10, done, 0, 1, 0), {"batch-1": done})


class Airflow:
    """Takes notes, or does with them what `act` says."""

    def __init__(self, act: Any = None) -> None:
        self.notes: list[Any] = []
        self._act = act

    async def asend(self, message: Any) -> None:
        if self._act:
            await self._act()
        self.notes.append(message)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    made = Airflow()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


def noted(airflow: Airflow, *looks: Looked) -> list[float]:
    note = WaitingNote(TASK)

    async def work() -> None:
        for each in looks:
            await note.note(each)

    asyncio.run(work())
    return [each.value["seen_at"] for each in airflow.notes]


def test_the_first_look_is_noted_for_its_task(airflow: Airflow) -> None:
    assert noted(airflow, looked(5.0, 0)) == [5.0]
    (note,) = airflow.notes
    assert (note.key, note.dag_id, note.run_id, note.task_id, note.map_index) == (
        "waiting", "nightly", "manual__1", "shard.wait_for_batch", 3,
    )  # fmt: skip
    assert note.value["rows_done"] == {"batch-1": 0}


def test_rows_done_are_noted_once_a_minute(airflow: Airflow) -> None:
    looks = looked(0.0, 0), looked(59.0, 1), looked(60.0, 2), looked(120.0, 2), looked(121.0, 3)
    assert noted(airflow, *looks) == [0.0, 60.0, 121.0]


def test_outside_a_triggerer_nothing_is_noted(airflow: Airflow) -> None:
    asyncio.run(WaitingNote(None).note(looked(0.0, 0)))
    assert airflow.notes == []


async def _broken() -> None:
    raise KeyError("no such key")


async def _stuck() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("act", "kind"), [(_broken, "KeyError"), (_stuck, "TimeoutError")])
def test_a_note_that_fails_or_hangs_costs_no_wait(
    act: Any, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Airflow(act), raising=False)
    monkeypatch.setattr(waiting_note, "NOTED_SECONDS", 0.01)
    asyncio.run(WaitingNote(TASK).note(looked(0.0, 0)))
    assert f"the page of all batches lags: {kind}" in caplog.text
