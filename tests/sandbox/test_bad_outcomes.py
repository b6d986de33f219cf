"""Batches that end badly and files that arrive damaged: every row is answered or named, nothing is lost or made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import PrepareInputOperator, ReportOperator
from tests.sandbox.bench import Run, Server, lines_of, rows_of

ROWS = 10


@dataclass(frozen=True)
class Case:
    """What is ordered of the provider, and what must come of ten rows. `says`: parts of the task's error, if it fails.

    `codes` are the failures' codes with how many rows have them.
    """

    name: str
    fault: dict[str, Any]
    answered: int
    codes: dict[str, int] = field(default_factory=dict)
    message: str = ""
    says: tuple[str, ...] = ()
    duplicates: int = 0
    foreign: int = 0
    unreadable: int = 0


CASES = [
    Case(
        "failed",
        {"fault": "fail_batch", "code": "model_not_found", "message": "The model does not exist.", "line": 3},
        0, {"model_not_found": 10}, "The model does not exist. (line 3)",
        ("10 of 10 rows failed", "first row-0: 'The model does", "Nothing of shard 0 was answered", "sent again"),
    ),
    Case(
        "expired", {"fault": "expire", "fraction": 0.6}, 6, {"batch_expired": 4},
        "This request could not be executed before the completion window expired.",
        ("4 of 10 rows failed", "batch_expired", "All answers have landed", "A clear does not send the failed rows"),
    ),
    Case(
        "cancelled", {"fault": "cancel", "fraction": 0.3}, 3, {"batch_cancelled": 7},
        "This request was not executed because the batch was cancelled.", ("7 of 10 rows failed", "batch_cancelled"),
    ),
    Case(
        "expired before any row", {"fault": "expire", "fraction": 0}, 0, {"batch_expired": 10},
        "This request could not be executed before the completion window expired.", ("10 of 10 rows failed",),
    ),
    Case(
        "completed with every row in the error file",
        {"fault": "all_rows_fail", "code": "invalid_request", "message": "No row is right.", "status_code": 400},
        0, {"invalid_request": 10}, "No row is right.", ("10 of 10 rows failed", "clear submit_batch"),
    ),
    Case(
        "some rows failed",
        {"fault": "fail_rows", "ids": ["row-2", "row-7"], "code": "too_long", "message": "Too long."},
        8, {"too_long": 2}, "Too long.", ("2 of 10 rows failed", "too_long", "max_failed_fraction"),
    ),
    Case(
        "a row lost", {"fault": "lose_row"}, 9, {"missing": 1}, "no line for this row",
        ("not every planned row is accounted for", "1 missing (row-"),
    ),
    Case(
        "a row cut in half", {"fault": "cut_row"}, 9, {"missing": 1}, "no line for this row",
        ("not every planned row is accounted for", "1 missing (row-", "1 unreadable"), unreadable=1,
    ),
    Case("a row twice", {"fault": "duplicate_row", "count": 2}, 10, duplicates=2),
    Case("a row for an id never asked", {"fault": "foreign_row", "count": 2}, 10, foreign=2),
    Case("rows in another order", {"fault": "reorder"}, 10),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_row_is_answered_or_named(server: Server, model_id: str, run: Run, case: Case) -> None:
    server.ask("POST", "/_sandbox/faults", case.fault)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    if case.says:
        with pytest.raises(AirflowFailException) as caught:
            run.fetch(outcomes)
        assert all(part in str(caught.value) for part in case.says), str(caught.value)
    else:
        run.fetch(outcomes)
    results, failures, report = run.landed("results"), run.landed("failures"), run.manifest["report"]
    assert results.keys() | failures.keys() == {row["id"] for row in rows_of(ROWS)}
    assert not results.keys() & failures.keys()
    assert len(results) == case.answered == report["answered"]
    codes = [row["code"] for row in failures.values()]
    assert {code: codes.count(code) for code in codes} == case.codes
    assert all(case.message in row["message"] and set(row) == {"id", "code", "message"} for row in failures.values())
    assert all(len(row["embedding"]) == 8 for row in results.values())
    counted = {name: report[name] for name in ("records", "failed", "missing", "duplicates", "foreign", "unreadable")}
    missing = case.codes.get("missing", 0)
    assert counted == {
        "records": ROWS, "failed": ROWS - case.answered - missing, "missing": missing, "duplicates": case.duplicates,
        "foreign": case.foreign, "unreadable": case.unreadable,
    }  # fmt: skip
    assert len(server.ledger) == 1


def test_rows_may_fail_up_to_the_fraction_that_was_allowed(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_rows", count=2)
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS))))
    with pytest.raises(AirflowFailException, match=r"2 of 10 rows failed .*19\.00% may"):
        run.fetch(outcomes, max_failed_fraction=0.19)
    assert run.fetch(outcomes, max_failed_fraction=0.2)["report"]["failed"] == 2


def test_a_hole_is_never_allowed(server: Server, model_id: str, run: Run) -> None:
    server.fault("lose_row")
    with pytest.raises(AirflowFailException, match="not every planned row is accounted for"):
        run.through(model_id, rows_of(ROWS), max_failed_fraction=1.0)


def test_one_bad_shard_does_not_take_the_others_with_it(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_batch", code="model_not_found")
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS), max_requests=4)))
    assert sorted(outcome["state"] for outcome in outcomes) == ["completed", "completed", "failed"]
    (bad,) = (outcome["job"]["shard"] for outcome in outcomes if outcome["state"] == "failed")
    lost = {line["custom_id"] for line in lines_of(bad["uri"])}
    with pytest.raises(AirflowFailException, match=f"{len(lost)} of 10 rows failed"):
        run.fetch(outcomes)
    assert set(run.landed("failures")) == lost
    assert set(run.landed("results")) == {row["id"] for row in rows_of(ROWS)} - lost


def test_a_failed_batch_is_submitted_again_as_attempt_2_by_the_next_clear(
    server: Server, model_id: str, run: Run
) -> None:
    server.fault("fail_batch")
    bundles = run.prepare(rows_of(ROWS))
    (first,) = run.submit(model_id, bundles)
    run.wait([first])
    (second,) = run.submit(model_id, bundles)
    assert (second["attempt"], second["provider_job_id"] != first["provider_job_id"]) == (2, True)
    assert run.fetch(run.wait([second]))["report"]["answered"] == ROWS
    assert [job["status"] for job in server.ledger] == ["failed", "completed"]


def test_a_clear_sends_a_job_without_answers_again_and_never_one_that_has_some(
    server: Server, model_id: str, run: Run
) -> None:
    """What the report advises is what happens."""
    bundles = run.prepare(rows_of(ROWS), max_requests=5)
    server.fault("expire", fraction=0.6)
    run.submit(model_id, bundles[0])
    server.fault("all_rows_fail", code="invalid_request")
    with pytest.raises(AirflowFailException) as caught:
        run.fetch(run.wait(run.submit(model_id, bundles)))
    assert "Nothing of shard 1 was answered" in str(caught.value)
    assert "A clear does not send the failed rows of shard 0 again" in str(caught.value)
    assert "max_failed_fraction" not in str(caught.value)
    attempts = {job["shard"]["index"]: job["attempt"] for job in run.submit(model_id, bundles)}
    assert attempts == {0: 1, 1: 2}


def test_failed_rows_are_shown_in_the_log_with_the_providers_words(
    server: Server, model_id: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("fail_rows", ids=["row-4"], code="too_long", message="Too long by 7 tokens.")
    run.through(model_id, rows_of(ROWS), max_failed_fraction=0.5)
    assert "row-4 failed: too_long: Too long by 7 tokens." in caplog.messages


def test_an_unknown_status_of_the_provider_is_refused(server: Server, model_id: str, run: Run) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(1)))
    job_id = jobs[0]["provider_job_id"]
    body = {"id": job_id, "object": "batch", "status": "paused", "input_file_id": "f"}
    server.fault("answer", method="GET", path=f"/v1/batches/{job_id}", status=200, body=body, times=-1)
    with pytest.raises(AirflowFailException, match=rf"UnknownAnswer: batch '{job_id}': status 'paused'.*left alone"):
        run.wait(jobs)


def test_a_download_that_breaks_off_is_taken_up_again(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(300))))
    for after_bytes in (0, 1000, 9000, 20_000):
        server.fault("cut_download", after_bytes=after_bytes)
    assert run.fetch(outcomes)["report"]["answered"] == 300
    assert len(run.landed("results")) == 300
    downloads = [call for call in server.calls if call["path"].endswith("/content")]
    assert len(downloads) == 5


def test_what_came_of_a_large_download_is_kept_when_it_breaks_off(server: Server, model_id: str, run: Run) -> None:
    """More than one piece of a megabyte; the server begins anew each time, so what is there already is passed over."""
    bundles = run.prepare(rows_of(600), model_parameters={"dimensions": 256})
    outcomes = run.wait(run.submit(model_id, bundles))
    for after_bytes in (1_200_000, 500_000, 1_300_000):
        server.fault("cut_download", after_bytes=after_bytes)
    report = run.fetch(outcomes)["report"]
    assert (report["answered"], report["duplicates"], report["unreadable"]) == (600, 0, 0)
    (entry,) = run.manifest["files"]
    assert entry["bytes"] > 1_300_000
    assert len([call for call in server.calls if call["path"].endswith("/content")]) == 4


def test_a_download_that_never_ends_is_given_up_and_no_short_file_is_left(
    server: Server, model_id: str, run: Run
) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(300))))
    server.fault("cut_download", after_bytes=5000, times=-1)
    with pytest.raises(Unavailable, match=r"download of file-\S+ stopped 8 times at \d+ of \d+ bytes"):
        run.fetch(outcomes)
    assert run.files() == []
    server.no_more_faults()
    assert run.fetch(outcomes)["report"]["answered"] == 300


def long_ago(outcomes: Any) -> Any:
    """Soon after the end a file that is not there may be yet to come."""
    return [{**outcome, "seen_at": 1.0} for outcome in outcomes]


def test_a_file_that_is_gone_at_the_provider(server: Server, model_id: str, run: Run) -> None:
    outcomes = long_ago(run.wait(run.submit(model_id, run.prepare(rows_of(3)))))
    for file_id in outcomes[0]["outputs"]:
        server.http.delete(f"/v1/files/{file_id}", headers={"Authorization": "Bearer any"}).raise_for_status()
    with pytest.raises(
        AirflowFailException, match="the provider no longer has this file; it was deleted or has expired"
    ):
        run.fetch(outcomes)
    assert run.files() == []


BY_SPEC: dict[str, Any] = {
    "name": "by_spec",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "file:///in.jsonl"},
    "output": {"uri": "file:///out"},
}


def test_the_report_of_a_run_whose_shard_never_arrived_is_a_hole(server: Server, model_id: str, run: Run) -> None:
    spec = {
        "name": "by_spec",
        "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
        "input": {"uri": f"file://{run.folder}/in.jsonl"},
        "output": {"uri": f"file://{run.out}"},
        "limits": {"max_requests": 4},
    }
    run.write(rows_of(ROWS))
    bundles = run.prepare(f"file://{run.folder}/in.jsonl", spec=spec)
    fetched = run.fetch(run.wait(run.submit(model_id, bundles[1:])), final=False)
    run.task_states = {
        "shard.submit_batch_0": "failed", "shard.wait_for_batch_0": "upstream_failed", "prepare": "success"
    }  # fmt: skip
    with pytest.raises(
        AirflowFailException,
        match=r"accounted for: 4 missing; shard 0 never landed\. shard\.submit_batch \[0\] failed, see the log there",
    ):
        run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[fetched, None]))
    report = run.manifest["report"]
    assert (report["records"], report["answered"], report["missing"]) == (ROWS, 6, 4)
    assert len(lines_of(report["results"][0])) + len(lines_of(report["results"][1])) == 6


def test_what_has_landed_stays_when_a_later_try_cannot_land_it_again(server: Server, model_id: str, run: Run) -> None:
    """After the clean-up at the provider nobody could land it once more."""
    outcomes = run.wait(
        run.submit(model_id, run.prepare(rows_of(ROWS), max_requests=4, output_uri=f"file://{run.out}"))
    )
    report = ReportOperator(task_id="report", planned_by="prepare", landed=[run.fetch(outcomes, final=False)])
    run.execute(report)
    whole, landed = run.files(), run.landed("results")
    for file_id in outcomes[0]["outputs"]:
        server.http.delete(f"/v1/files/{file_id}", headers={"Authorization": "Bearer any"}).raise_for_status()
    with pytest.raises(AirflowFailException, match="no longer has this file"):
        run.fetch(long_ago(outcomes), final=False)
    run.task_states = {"fetch_0": "failed"}
    again = ReportOperator(task_id="report", planned_by="prepare", landed=[None])
    with pytest.raises(AirflowFailException, match=r"fetch \[0\] failed in this try.* stays"):
        run.execute(again)
    assert (run.files(), run.landed("results")) == (whole, landed)
    assert len(landed) == ROWS


def test_a_report_does_not_judge_by_what_an_earlier_try_prepared(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(ROWS), output_uri=f"file://{run.out}")))
    fetched = run.fetch(outcomes, final=False)
    run.task_states = {"prepare": "failed"}
    with pytest.raises(AirflowFailException, match="prepare failed, and its log says why; what landed before stays"):
        run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[fetched]))
    skips = ReportOperator(task_id="report", planned_by="prepare", landed=[fetched], skip_without_plan=True)
    with pytest.raises(AirflowSkipException, match="prepare failed, and its log says why"):
        run.execute(skips)


def test_a_report_names_what_failed_before_the_preparation(server: Server, model_id: str, run: Run) -> None:
    """Airflow keeps what an earlier try has prepared of a task that this try does not reach."""
    run.execute(
        PrepareInputOperator(
            task_id="prepare", spec={**BY_SPEC, "dry_run": True}, input_uri=run.write(rows_of(3)),
            overrides={"output.uri": f"file://{run.out}"}, dag=run.dag,
        )
    )  # fmt: skip
    run.task_states = {"make_index": "failed", "copy_documents": "upstream_failed", "prepare": "upstream_failed"}
    report = ReportOperator(task_id="report", planned_by="prepare", landed=[], skip_without_plan=True)
    with pytest.raises(AirflowFailException, match="make_index failed, and its log says why; prepare did not run"):
        run.execute(report)


def test_a_report_without_a_plan_says_where_to_look(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="there is no plan: prepare did not succeed, and its log says why"):
        run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[]))
