"""A job that has ended and names no file of its answers is waited for, and named after a while. Time is made up."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.jobs import Job, RemoteJob
from opensearch_batch.wait.settling import SETTLE_SECONDS, Settling
from tests.unit.fakes import Clock

JOB = Job("batch-k", 1, "batch_1", "file-1", None, "model-1")
SETTLING = RemoteJob("batch_1", "settling", "completed", requests_total=3, requests_done=2)
RUNNING = RemoteJob("batch_1", "running", "in_progress")


def test_a_job_may_settle_for_a_while_and_is_named_after_it() -> None:
    clock = Clock()
    settling = Settling(clock.now)
    settling.note(JOB, SETTLING)
    clock.time += SETTLE_SECONDS
    settling.note(JOB, SETTLING)
    clock.time += 1
    with pytest.raises(UnknownAnswer, match=r"2 of 3 requests answered, .* for 15 minutes"):
        settling.note(JOB, SETTLING)


def test_a_job_has_no_longer_where_each_look_is_a_process_of_its_own() -> None:
    clock, noted = Clock(), dict[str, float]()
    for _ in range(2):
        settling = Settling(clock.now, noted)
        settling.note(JOB, SETTLING)
        noted = settling.noted()
        clock.time += SETTLE_SECONDS
    clock.time += 1
    with pytest.raises(UnknownAnswer):
        Settling(clock.now, noted).note(JOB, SETTLING)


def test_a_job_that_runs_on_begins_anew() -> None:
    clock = Clock()
    settling = Settling(clock.now)
    for remote in (SETTLING, RUNNING, SETTLING, RUNNING):
        settling.note(JOB, remote)
        clock.time += SETTLE_SECONDS + 1
