"""Looking and cancelling: the cluster is asked first, and where it cannot answer the provider."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import (
    BatchError,
    CannotLook,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    UnknownAnswer,
)
from opensearch_batch.flow.jobs import Job
from opensearch_batch.wait.looking import (
    Ask,
    AskCluster,
    AskProvider,
    adrive,
    asker,
    cancel,
    cancel_running,
    confirm,
    drive,
    look,
)

VENDOR = providers.DEFAULT
JOB = Job("batch-k", 1, "batch_1", "file-1", "task-1", "model-1")
ORPHAN = Job("batch-k", 1, "batch_1", "file-1", None, "model-1")
TASK = {"state": "RUNNING", "remote_job": {"id": "batch_1", "status": "in_progress"}}


class Asked:
    """Answers in order, an error is raised; remembers what was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.steps: list[Ask] = []

    def __call__(self, step: Ask) -> Any:
        self.steps.append(step)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def later(self, step: Ask) -> Any:
        return self(step)

    @property
    def kinds(self) -> list[str]:
        return [type(step).__name__ for step in self.steps]


def test_the_cluster_alone_is_asked_where_it_answers() -> None:
    asked = Asked(TASK)
    remote = drive(look(JOB, VENDOR, set()), asked)
    assert remote is not None
    assert (remote.status, asked.kinds) == ("in_progress", ["AskCluster"])
    (step,) = asked.steps
    assert isinstance(step, AskCluster)
    assert step.call.path.endswith("/tasks/task-1")


@pytest.mark.parametrize(
    "error", [CannotLook("400"), Refused("404"), Unavailable("503"), Throttled("429"), Refused("500")]
)
@pytest.mark.parametrize("way", ["drive", "adrive"])
def test_where_the_cluster_refuses_the_provider_is_asked(error: BatchError, way: str) -> None:
    asked = Asked(error, {"id": "batch_1", "status": "completed", "output_file_id": "file-o"})
    asking = look(JOB, VENDOR, set())
    remote = drive(asking, asked) if way == "drive" else asyncio.run(adrive(asking, asked.later))
    assert remote is not None
    assert (remote.state, asked.steps[-1]) == ("completed", AskProvider("batch_1"))


def test_a_job_without_a_task_is_looked_at_where_it_is() -> None:
    asked = Asked({"id": "batch_1", "status": "failed"})
    assert drive(look(ORPHAN, VENDOR, set()), asked) is not None
    assert asked.steps == [AskProvider("batch_1")]


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "RUNNING", "remote_job": {"id": "batch_1", "status": "paused"}},
        {"state": "ODD", "remote_job": {"id": "batch_1", "status": "completed"}},
    ],
)
def test_a_status_nobody_knows_is_raised_and_the_provider_is_not_asked(answer: dict[str, Any]) -> None:
    asked = Asked(answer)
    with pytest.raises(UnknownAnswer):
        drive(look(JOB, VENDOR, set()), asked)
    assert asked.kinds == ["AskCluster"]


def test_when_neither_answers_the_providers_error_is_raised() -> None:
    error = Unavailable("the provider is down")
    with pytest.raises(Unavailable) as caught:
        drive(look(JOB, VENDOR, set()), Asked(Unavailable("the cluster is down"), error))
    assert caught.value is error


def test_that_a_job_is_followed_at_the_provider_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="opensearch_batch.wait.looking")
    told: set[str] = set()
    for _ in range(3):
        drive(look(JOB, VENDOR, told), Asked(CannotLook("regex is not configured"), TASK["remote_job"]))
    assert [record.getMessage() for record in caplog.records] == [
        "The cluster cannot see this job: it is followed at the provider. regex is not configured"
    ]
    drive(look(JOB, VENDOR, told), Asked(Unavailable("HTTP 503"), TASK["remote_job"]))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_a_cancel_goes_through_the_cluster() -> None:
    asked = Asked({"status": "OK"})
    assert drive(cancel(JOB, set()), asked) is None
    (step,) = asked.steps
    assert isinstance(step, AskCluster)
    assert (step.call.method, step.call.path) == ("POST", "/_plugins/_ml/tasks/task-1/_cancel")


@pytest.mark.parametrize(
    ("job", "answers"), [(JOB, (CannotLook("400"), None)), (JOB, (Unavailable("503"), None)), (ORPHAN, (None,))]
)
def test_a_cancel_that_the_cluster_cannot_do_goes_to_the_provider(job: Job, answers: tuple[Any, ...]) -> None:
    asked = Asked(*answers)
    drive(cancel(job, set()), asked)
    assert asked.steps[-1] == AskProvider("batch_1", cancel=True)


def test_a_cancel_that_nobody_can_do_is_raised() -> None:
    with pytest.raises(Unavailable):
        drive(cancel(JOB, set()), Asked(CannotLook("400"), Unavailable("down")))


def at_provider(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "batch_1", "status": status, **more}


@pytest.mark.parametrize(
    "document",
    [
        at_provider("cancelling"),
        at_provider("completed", output_file_id="file-o"),
        pytest.param(at_provider("completed", request_counts={"total": 2, "completed": 2, "failed": 0}), id="settling"),
    ],
)
def test_nothing_is_cancelled_that_does_not_run(document: dict[str, Any]) -> None:
    """Servers refuse it, and one refusal would be tried for ever."""
    asked = Asked(document)
    remote = drive(cancel_running(ORPHAN, VENDOR, set()), asked)
    assert remote is not None
    assert asked.steps == [AskProvider("batch_1")]


def test_what_runs_is_cancelled() -> None:
    asked = Asked(at_provider("in_progress"), None)
    assert drive(cancel_running(ORPHAN, VENDOR, set()), asked) is None
    assert asked.steps == [AskProvider("batch_1"), AskProvider("batch_1", cancel=True)]


def test_a_job_that_ended_since_the_look_needs_no_cancel() -> None:
    refused = Refused("Cannot cancel a batch with status 'completed'.")
    ended = at_provider("completed", output_file_id="file-o")
    remote = drive(cancel_running(ORPHAN, VENDOR, set()), Asked(at_provider("in_progress"), refused, ended))
    assert remote is not None
    assert remote.state == "completed"


def test_the_refusal_to_cancel_what_runs_is_raised() -> None:
    running, refused = at_provider("in_progress"), Refused("no right to cancel")
    with pytest.raises(Refused) as caught:
        drive(cancel_running(ORPHAN, VENDOR, set()), Asked(running, refused, running))
    assert caught.value is refused


def test_another_error_than_ours_ends_the_look() -> None:
    with pytest.raises(ZeroDivisionError):
        drive(look(JOB, VENDOR, set()), Asked(ZeroDivisionError()))


class Store:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def get_job(self, job_id: str) -> dict[str, str]:
        self.asked.append(("get", job_id))
        return {"id": job_id, "status": "completed"}

    def cancel_job(self, job_id: str) -> None:
        self.asked.append(("cancel", job_id))


def test_a_worker_opens_the_providers_store_only_when_it_is_needed() -> None:
    store = Store()

    def never() -> Any:
        raise AssertionError("opened for nothing")

    cluster_only: Callable[[Ask], Any] = asker(lambda call: TASK, never)
    assert drive(look(JOB, VENDOR, set()), cluster_only) is not None

    def refuses(call: Any) -> Any:
        raise OutcomeUnknown("no answer")

    ask = asker(refuses, lambda: store)
    drive(look(JOB, VENDOR, set()), ask)
    drive(cancel(JOB, set()), ask)
    assert store.asked == [("get", "batch_1"), ("cancel", "batch_1")]


COMPLETED = {"id": "batch_1", "status": "completed", "output_file_id": "file-o"}


@pytest.mark.parametrize(
    ("answers", "asked_for"),
    [
        (({"state": "COMPLETED", "remote_job": COMPLETED},), ["AskCluster"]),
        ((TASK, COMPLETED), ["AskCluster", "AskProvider"]),
        ((CannotLook("400"), COMPLETED), ["AskCluster", "AskProvider"]),
    ],
    ids=["the cluster says so too", "the cluster says it runs", "the cluster cannot look"],
)
def test_an_end_on_the_list_is_confirmed_through_the_cluster_or_by_the_provider(
    answers: tuple[Any, ...], asked_for: list[str]
) -> None:
    asked = Asked(*answers)
    remote = drive(confirm(JOB, VENDOR, set()), asked)
    assert remote is not None
    assert (remote.state, asked.kinds) == ("completed", asked_for)
