"""Jobs: what a task document says, and which jobs may be submitted again."""

from __future__ import annotations

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import Unavailable, UnknownAnswer
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.jobs import Job, Outcome, RemoteJob, ended, is_spent, outcome, status_line
from opensearch_batch.flow.shards import Shard
from opensearch_batch.wait.looking import TASK_STATES, read_task

VENDOR = providers.DEFAULT
SHARD = Shard(3, "mem://3", "s", 2, 10, 1)
JOB = Job("batch-k", 1, "batch_1", "file-1", "task-1", "model-1", SHARD)


@pytest.mark.parametrize("state", sorted(TASK_STATES))
def test_the_providers_status_decides_whatever_the_task_says(state: str) -> None:
    assert read_task({"state": state, "remote_job": {"id": "b", "status": "failed"}}, VENDOR).state == "failed"


@pytest.mark.parametrize("state", ["completed", "DONE", "", None])
def test_an_unknown_task_state_is_refused(state: str | None) -> None:
    with pytest.raises(UnknownAnswer, match="task state"):
        read_task({"state": state, "remote_job": {"id": "b", "status": "completed"}}, VENDOR)


@pytest.mark.parametrize("document", [{"state": "COMPLETED"}, {"state": "COMPLETED", "remote_job": None}])
def test_a_task_without_its_job_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(Unavailable, match="batch: .*no 'id'"):
        read_task(document, VENDOR)


@pytest.mark.parametrize(
    ("state", "has_answers", "has_ended", "spent"),
    [
        ("running", False, False, False),
        ("cancelling", False, False, False),
        ("completed", True, True, False),
        ("completed", False, True, True),
        ("failed", False, True, True),
        ("expired", False, True, True),
        ("expired", True, True, False),
    ],
)
def test_only_a_job_that_ended_without_an_answer_is_spent(
    state: str, has_answers: bool, has_ended: bool, spent: bool
) -> None:
    """Reasons alone (an error file) are no answers: its rows may be sent again once someone clears the submit."""
    remote = RemoteJob("b", state, state, ("file-e",), has_answers=has_answers)  # type: ignore[arg-type]
    assert (ended(remote), is_spent(remote)) == (has_ended, spent)


def test_an_outcome_travels_as_a_dict_with_its_job() -> None:
    remote = RemoteJob("b", "expired", "expired", ("o", "e"), 10, 7, 3, Usage(5, 6), "batch_expired", "too late")
    made = outcome(JOB, remote)
    assert Outcome.from_dict(made.to_dict()) == made
    assert Job.from_dict(made.to_dict()["job"]) == JOB
    assert (made.requests_total, made.requests_done, made.requests_failed) == (10, 7, 3)
    assert (made.input_tokens, made.output_tokens, made.outputs) == (5, 6, ["o", "e"])
    assert (made.error_code, made.error_message) == ("batch_expired", "too late")


def test_a_job_is_named_with_its_shard_its_id_and_its_task() -> None:
    assert JOB.name == "shard 3, job batch_1 (task task-1)"
    assert Job("k", 1, "batch_1", None, None, "m").name == "job batch_1 (task None)"


def test_progress_is_n_of_n_with_the_failed_ones_if_there_are_any() -> None:
    assert status_line(RemoteJob("b", "running", "in_progress", (), 10, 4)) == "in_progress, 4 of 10"
    assert status_line(RemoteJob("b", "running", "in_progress", (), 10, 4, 2)) == "in_progress, 4 of 10, 2 failed"
