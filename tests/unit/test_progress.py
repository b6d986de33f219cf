"""How far a bundle is, in rows."""

from __future__ import annotations

import pytest

from opensearch_batch.flow.jobs import Job, RemoteJob, RemoteState, outcome
from opensearch_batch.flow.shards import Shard
from opensearch_batch.wait.progress import Progress, Track, of_outcomes


def job(id: str, records: int | None) -> Job:
    shard = None
    if records is not None:
        shard = Shard(0, "", "", records, 0, 0)
    return Job("key", 1, id, "file", "task", "model", shard)


def seen(id: str, done: int, total: int, failed: int = 0, state: RemoteState = "running") -> RemoteJob:
    return RemoteJob(id, state, state, (), total, done, failed)


A, B = job("a", 600), job("b", 400)


def test_rows_that_nobody_saw_yet_count() -> None:
    track = Track([A, B])
    assert str(track.at(0)) == "0 of 1000 rows done, 0 of 2 jobs ended"
    track.note(A, seen("a", 150, 600))
    assert str(track.at(60)) == "150 of 1000 rows done, 0 of 2 jobs ended; 2.5 rows/s, about 6 min left"


def test_failed_rows_are_done_and_an_ended_job_leaves_nothing() -> None:
    track = Track([A, B])
    track.at(0)
    track.note(A, seen("a", 290, 600, 10, "expired"))
    track.note(B, seen("b", 100, 400))
    now = track.at(100)
    assert (now.rows_done, now.rows_failed, now.jobs_ended, now.rows_per_second) == (400, 10, 1, 4.0)
    assert now.seconds_left == 75.0
    assert str(now) == "400 of 1000 rows done, 10 failed, 1 of 2 jobs ended; 4 rows/s, about 1 min left"


def test_a_request_may_hold_several_rows() -> None:
    track = Track([A])
    track.note(A, seen("a", 5, 10, 1))
    assert (track.at(0).rows_done, track.at(1).rows_failed) == (360, 60)


def test_a_job_of_raw_parameters_has_the_rows_that_the_provider_counts() -> None:
    track = Track([raw := job("r", None)])
    assert track.at(0).rows == 0
    track.note(raw, seen("r", 3, 12))
    assert str(track.at(10)) == "3 of 12 rows done; 0.3 rows/s, about 30 s left"


def test_the_rate_is_that_of_the_last_looks() -> None:
    track = Track([A])
    for minute in range(30):
        track.note(A, seen("a", min(100, minute * 50), 600))
        track.at(minute * 60)
    now = track.at(1800)
    assert (now.rows_done, now.rows_per_second, now.seconds_left) == (100, None, None)


def test_of_a_wait_that_is_over_the_rate_is_that_of_the_whole() -> None:
    done = [
        outcome(A, seen("a", 600, 600, state="completed")),
        outcome(B, seen("b", 390, 400, 10)),
    ]
    assert of_outcomes(done, 200.0) == Progress(1000, 1000, 10, 2, 2, 5.0, 0.0)
    assert of_outcomes(done, None).rows_per_second is None


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (20, "20 s"),
        (90, "2 min"),
        (59 * 60, "59 min"),
        (3600, "1 h 0 min"),
        (118 * 60, "1 h 58 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_what_is_left_is_said_as_people_do(left: float, text: str) -> None:
    assert str(Progress(10, 5, 0, 1, 0, 1.0, left)).endswith(f"about {text} left")


def test_what_is_left_are_the_open_rows_of_running_jobs_with_failed_rows_or_without() -> None:
    track = Track([A, B])
    track.at(0)
    track.note(A, seen("a", 100, 600, 50))
    assert track.at(150).seconds_left == 450 + 400
    track.note(B, seen("b", 150, 400, state="expired"))
    assert track.rows_done == {"a": 150, "b": 150}
    assert track.at(300).seconds_left == 450


def test_a_job_that_tells_no_counts_has_done_nothing() -> None:
    track = Track([A])
    track.note(A, seen("a", 0, 0))
    now = track.at(0)
    assert (now.rows, now.rows_done, now.rows_failed) == (600, 0, 0)


def test_jobs_are_told_where_there_are_several() -> None:
    assert str(Progress(0, 0, 0, 0, 0)) == "0 of 0 rows done"
    assert str(Progress(10, 5, 0, 1, 0)) == "5 of 10 rows done"
    assert str(Progress(10, 5, 2, 2, 1)) == "5 of 10 rows done, 2 failed, 1 of 2 jobs ended"


def test_rows_that_were_done_at_the_first_look_make_no_rate() -> None:
    track = Track([A])
    track.note(A, seen("a", 100, 600))
    track.at(10)
    track.note(A, seen("a", 200, 600))
    assert track.at(60).rows_per_second == 2.0
