"""What servers really say: whole runs in which no odd but ordinary answer loses a row, pays twice or ends a wait."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from opensearch_batch.errors import Transient, Unavailable
from opensearch_batch.tasks.stored_trigger import read_event
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait import settling
from tests.patience import until
from tests.sandbox.bench import Run, Server, first_event, rows_of, sensor
from tests.sandbox.test_promises import deferred

ROWS = 10


def report_of(fetched: Any) -> dict[str, Any]:
    return {name: fetched["report"][name] for name in ("records", "answered", "failed", "missing")}


ALL_LANDED = {"records": ROWS, "answered": ROWS, "failed": 0, "missing": 0}


# 2. A file's size is believed; counts decide


@pytest.mark.parametrize("size", [0, None, "absent"])
def test_a_size_that_is_not_told_keeps_no_answer_from_landing(
    server: Server, run: Run, model_id: str, size: Any
) -> None:
    server.fault("wrong_size", size=size, times=-1)
    assert report_of(run.through(model_id, rows_of(ROWS))) == ALL_LANDED
    assert len(server.ledger) == 1


@pytest.mark.parametrize("status", [404, 403])
def test_an_error_file_that_is_refused_keeps_no_answer_from_landing(
    server: Server, run: Run, model_id: str, status: int
) -> None:
    server.fault("fail_rows", count=3)
    server.fault("refuse_file", which="error", status=status)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    fetched = run.fetch(outcomes, max_failed_fraction=0.5)
    assert report_of(fetched) == {"records": ROWS, "answered": 7, "failed": 3, "missing": 0}
    failures = run.landed("failures")
    assert {row["code"] for row in failures.values()} == {"reasons_unread"}
    assert all("refuses the file of this job's refused rows" in row["message"] for row in failures.values())
    assert len(server.ledger) == 1


def test_files_that_lag_behind_the_counts_are_read_again(server: Server, run: Run, model_id: str) -> None:
    server.fault("rows_later", count=4, reads=1)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    with pytest.raises(Unavailable, match="says 10 requests are answered, and its files have 6 answers") as caught:
        run.fetch(outcomes)
    assert caught.value.retry_after_seconds
    assert run.files() == []
    assert report_of(run.fetch(outcomes)) == ALL_LANDED
    assert len(server.ledger) == 1


def test_rows_that_never_come_are_not_handed_on_to_be_paid_again(server: Server, run: Run, model_id: str) -> None:
    server.fault("rows_later", count=1, reads=-1)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    for _ in range(3):
        with pytest.raises(Unavailable, match="says 10 .* have 9 answers.*nothing is sent again"):
            run.fetch(outcomes, final=False, repair=True)
    assert len(server.ledger) == 1


def test_grouped_requests_are_counted_too(server: Server, run: Run, model_id: str) -> None:
    server.fault("rows_later", count=1, reads=1)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS), texts_per_request=2)))
    with pytest.raises(Unavailable, match="says 5 requests are answered, and its files have 4 answers"):
        run.fetch(outcomes)
    assert report_of(run.fetch(outcomes)) == ALL_LANDED


# 3. `completed` before the file is there


def test_a_job_that_names_its_file_later_has_not_ended_before(server: Server, run: Run, model_id: str) -> None:
    server.fault("id_later", reads=3)
    assert report_of(run.through(model_id, rows_of(ROWS))) == ALL_LANDED
    assert len(server.ledger) == 1


def test_a_clear_of_the_submit_pays_nothing_while_the_file_is_not_named(
    server: Server, run: Run, model_id: str
) -> None:
    server.fault("id_later", reads=2)
    shards = run.prepare(rows_of(ROWS))
    run.submit(model_id, shards)
    run.states.clear()
    jobs = run.submit(model_id, shards)
    assert report_of(run.fetch(run.wait(jobs))) == ALL_LANDED
    assert len(server.ledger) == 1


def test_a_file_that_is_never_named_is_an_error_in_bounded_time(
    server: Server, run: Run, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SETTLE_SECONDS", 0.2)
    server.fault("id_later", reads=-1)
    server.pace("polls:2")
    _, wait = deferred(run, run.submit(model_id, run.prepare(rows_of(ROWS))))
    event = first_event(wait.trigger)
    assert event["terminal"]
    assert "10 of 10 requests answered, and has named no file" in event["error"]
    assert len(server.ledger) == 1


def test_a_file_that_is_never_named_is_an_error_where_each_poke_is_a_process_too(
    server: Server, run: Run, model_id: str
) -> None:
    server.fault("id_later", reads=-1)
    jobs = run.submit(model_id, run.prepare(rows_of(ROWS)))
    until(lambda: server.ledger, lambda jobs: [job["status"] for job in jobs] == ["completed"])

    def poke() -> Any:
        waiting = sensor(jobs, deferrable=False, mode="reschedule", task_id="wait")
        context = run.context(waiting)
        context["ti"].get_first_reschedule_date = lambda context: None
        return waiting.execute(context)

    with pytest.raises(AirflowRescheduleException):
        poke()
    notes = run.states["wait"]
    [(key, since)] = [(key, noted) for key, noted in notes.items() if key.startswith("settling")]
    notes.set(key, {job_id: at - settling.SETTLE_SECONDS for job_id, at in since.items()})
    with pytest.raises(AirflowFailException, match="has named no file of answers"):
        poke()


@pytest.mark.parametrize("counted", [True, False], ids=["counts are told", "none are told"])
def test_a_file_that_is_not_there_yet_is_asked_for_again(
    server: Server, run: Run, model_id: str, counted: bool
) -> None:
    """Without counts the only file could be that of the reasons, of which none is needed."""
    if not counted:
        server.fault("odd_job", **{"as": "counts_text"}, times=-1)
    server.fault("file_later", reads=1)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    with pytest.raises(Unavailable, match="may be yet to come"):
        run.fetch(outcomes)
    assert report_of(run.fetch(outcomes)) == ALL_LANDED
    assert len(server.ledger) == 1


def test_the_only_file_has_the_reasons_where_the_counts_say_so(server: Server, run: Run, model_id: str) -> None:
    server.fault("all_rows_fail")
    server.fault("refuse_file", which="error", status=403)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    fetched = run.fetch(outcomes, max_failed_fraction=1.0)
    assert report_of(fetched) == {"records": ROWS, "answered": 0, "failed": ROWS, "missing": 0}
    assert {row["code"] for row in run.landed("failures").values()} == {"reasons_unread"}


def test_a_job_whose_rows_all_failed_ends_at_once(server: Server, run: Run, model_id: str) -> None:
    server.fault("all_rows_fail")
    (outcome,) = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    assert (outcome["state"], outcome["requests_failed"]) == ("completed", ROWS)


# 6. A 200 that is not the JSON expected


@pytest.mark.parametrize("shape", ["html", "empty", "null", "list", "text"])
def test_no_odd_body_ends_a_wait(server: Server, run: Run, model_id: str, shape: str) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(ROWS)))
    server.fault("odd_body", **{"as": shape}, path="/v1/batches", times=6)
    outcomes = run.wait(jobs)
    assert report_of(run.fetch(outcomes)) == ALL_LANDED


@pytest.mark.parametrize("shape", ["error_text", "error_texts", "time_text", "no_time", "usage_text", "counts_text"])
def test_what_only_informs_never_ends_a_run(server: Server, run: Run, model_id: str, shape: str) -> None:
    server.fault("odd_job", **{"as": shape}, times=-1)
    assert report_of(run.through(model_id, rows_of(ROWS))) == ALL_LANDED
    assert len(server.ledger) == 1


def test_no_error_of_any_type_leaves_a_trigger_without_an_event(
    server: Server, run: Run, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pace("polls:9")
    _, wait = deferred(run, run.submit(model_id, run.prepare(rows_of(1))))

    async def broken(self: BatchTrigger) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(BatchTrigger, "wait", broken)
    event = first_event(wait.trigger)
    assert not event["terminal"]
    with pytest.raises(Transient, match="KeyError: 'surprise'"):
        read_event(event)


# 4. Lists


def test_a_list_without_end_is_a_clear_error_and_pays_nothing(server: Server, run: Run, model_id: str) -> None:
    shards = run.prepare(rows_of(ROWS))
    run.submit(model_id, shards)
    run.states.clear()
    server.fault("repeat_page", path="/v1/files$")
    with pytest.raises(Exception, match="gives the same page again"):
        run.submit(model_id, shards)
    server.no_more_faults()
    server.fault("null_entry", times=-1)
    server.fault("no_has_more", times=-1)
    run.submit(model_id, shards)
    assert len(server.ledger) == 1
    assert json.dumps(server.ledger)


def test_the_wait_of_several_jobs_looks_at_each_where_the_list_has_no_end(
    server: Server, run: Run, model_id: str
) -> None:
    server.fault("repeat_page", path="/v1/batches$")
    jobs = run.submit(model_id, run.prepare(rows_of(ROWS), max_requests=3))
    assert len(jobs) == 4
    assert report_of(run.fetch(run.wait(sensor(jobs).jobs))) == ALL_LANDED
