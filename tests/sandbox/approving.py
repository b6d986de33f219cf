"""An approval as Airflow has it: the question that a task asks, and the answer with which Airflow resumes the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskAwaitingInput
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

from opensearch_batch.operators import ApprovePlanOperator
from tests.sandbox.bench import Run

ANNA = {"id": "anna", "name": "Anna"}
AT = datetime(2026, 1, 31, 5, tzinfo=UTC)


@contextmanager
def questions() -> Iterator[list[Any]]:
    """The questions that the task's process sends to its supervisor, which is not there; nor is Airflow behind it."""
    sent: list[Any] = []

    def send(msg: Any) -> None:
        if isinstance(msg, CreateHITLDetailPayload):  # keys to be masked in logs come this way too
            sent.append(msg)

    comms = SimpleNamespace(send=send)
    with mock.patch.object(task_runner, "SUPERVISOR_COMMS", comms, create=True):
        yield sent


def operator(planned_by: str = "prepare") -> ApprovePlanOperator:
    with DAG("by_hand", schedule=None):
        approve = ApprovePlanOperator(task_id="approve", planned_by=planned_by)
        approve >> EmptyOperator(task_id="next") >> EmptyOperator(task_id="submit")
    return approve


@dataclass
class Question:
    """What a person sees, and how long the task waits."""

    payload: Any
    waits: timedelta

    def __getattr__(self, name: str) -> Any:
        return getattr(self.payload, name)


def ask(run: Run, planned_by: str = "prepare") -> Any:
    """Return the question of the task's present try; None where the task asks nothing and succeeds."""
    with questions() as sent:
        try:
            run.execute(operator(planned_by))
        except TaskAwaitingInput as waiting:
            (question,) = sent
            return Question(question, waiting.timeout)
    assert sent == []
    run.task_states["approve"] = "success"
    return None


def answer(run: Run, option: str, user: dict[str, str] | None = ANNA) -> list[str]:
    """Resume the task as Airflow does, without a user after the time-out; return the tasks that it skips."""
    approve = operator()
    event = {"chosen_options": [option], "params_input": {}, "responded_at": AT, "responded_by_user": user}
    skipped: list[str] = []
    try:
        approve.execute_complete(run.context(approve), event | {"timedout": user is None})
    except DownstreamTasksSkipped as skip:
        skipped = [str(task) for task in skip.tasks]
    run.task_states["approve"] = "success"
    return skipped
