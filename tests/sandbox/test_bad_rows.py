"""Bad rows of the input: all named in one error, or skipped and named in the failures; every row has one fate."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.operators import ReportOperator
from tests.sandbox.bench import Run, Server, lines_of, rows_of

GOOD = 100
SKIP = {"input.bad_rows": "skip"}


def with_bad_rows(bad: int, good: int = GOOD) -> bytes:
    """Every bad row after a good row, each bad in a way of its own."""
    kinds = [b"{broken", b'{"text": "no id"}', b'{"id": "row-0", "text": "again"}', b'{"id": "empty-%d", "text": ""}']
    lines = [json.dumps(row).encode() for row in rows_of(good)]
    for n in range(bad):
        kind = kinds[n % len(kinds)]
        lines.insert(2 * n + 1, kind % n if b"%d" in kind else kind)
    return b"\n".join(lines) + b"\n"


def refused(run: Run, content: bytes, **overrides: Any) -> str:
    run.write(content)
    with pytest.raises(AirflowFailException) as caught:
        run.prepare(f"file://{run.folder}/in.jsonl", overrides=overrides)
    assert list(run.folder.glob("work/**/*.jsonl")) == []
    return str(caught.value)


def report_of(run: Run, model_id: str, **settings: Any) -> dict[str, Any]:
    bundles = run.prepare(f"file://{run.folder}/in.jsonl", output_uri=f"file://{run.out}", **settings)
    landed = [run.fetch(run.wait(run.submit(model_id, bundles)), final=False)]
    report: dict[str, Any] = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=landed))
    return report


def test_thirty_bad_rows_are_one_error_with_the_first_twenty(run: Run) -> None:
    said = refused(run, with_bad_rows(30))
    assert said.startswith("InputError: 30 bad rows of 130 read in file://")
    assert "the first 20:" in said
    named = [line for line in said.splitlines() if "in.jsonl line " in line]
    assert [int(line.split("line ")[1].split(":")[0]) for line in named] == [2 * n + 2 for n in range(20)]
    assert [line.split(": ", 1)[1][:12] for line in named[:4]] == [
        "not JSON: un", "the row has ", "id 'row-0' w", "the text in ",
    ]  # fmt: skip
    assert "input.bad_rows: skip" in said


def test_skipped_rows_are_failures_with_place_and_reason_and_the_counts_add_up(
    server: Server, model_id: str, run: Run
) -> None:
    run.write(with_bad_rows(30))
    report = report_of(run, model_id, overrides=SKIP | {"input.max_bad_fraction": 0.25}, max_requests=30)
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["bad_rows"]) == (GOOD, 30)
    assert (report["records"], report["answered"], report["failed"], report["missing"]) == (130, GOOD, 30, 0)
    assert (report["bad_rows"], report["codes"]) == (30, {"bad_row": 30})
    assert run.manifest["report"] == report
    assert set(run.landed("results")) == {row["id"] for row in rows_of(GOOD)}
    (failures,) = [entry for entry in run.manifest["files"] if entry["kind"] == "failures"]
    rows = lines_of(failures["uri"])
    assert failures["rows"] == len(rows) == 30
    places = [row["source"].rsplit("/", 1)[1] for row in rows]
    assert places == [f"in.jsonl line {2 * n + 2}" for n in range(30)]
    assert all(row["message"] and row["code"] == "bad_row" for row in rows)
    assert [row["id"] for row in rows[:4]] == [None, None, None, "empty-3"], "an answered id is no failure's"


def test_rows_that_fail_at_the_provider_are_judged_without_the_bad_rows(
    server: Server, model_id: str, run: Run
) -> None:
    run.write(with_bad_rows(2, good=20))
    server.fault("fail_rows", ids=["row-3"], code="too_long", message="Too long.")
    with pytest.raises(AirflowFailException, match=r"1 of 20 rows failed .* 0\.00% may"):
        report_of(run, model_id, overrides=SKIP)
    assert run.manifest["report"]["failed"] == 3


def test_a_fetch_by_hand_names_the_bad_rows_too(model_id: str, run: Run) -> None:
    run.write(with_bad_rows(2, good=20))
    bundles = run.prepare(f"file://{run.folder}/in.jsonl", overrides=SKIP)
    report = run.fetch(run.wait(run.submit(model_id, bundles)))["report"]
    assert (report["records"], report["answered"], report["failed"], report["bad_rows"]) == (22, 20, 2, 2)


@pytest.mark.parametrize("texts_per_request", [1, 7])
def test_a_row_too_large_for_a_shard_is_a_bad_row(texts_per_request: int, model_id: str, run: Run) -> None:
    rows = rows_of(20)
    rows.insert(5, {"id": "long", "text": "x" * 4000})
    run.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    settings = {"max_tokens": 500, "texts_per_request": texts_per_request}
    report = report_of(run, model_id, overrides=SKIP, **settings)
    assert (report["answered"], report["bad_rows"]) == (20, 1)
    (row,) = lines_of(report["failures"][0])
    assert row["id"] == "long"
    assert row["source"].endswith("in.jsonl line 6")
    assert row["message"].startswith("the row makes a request of an estimated 1000 tokens")


@pytest.mark.parametrize(
    ("bad", "good", "says"),
    [
        (30, 100, ("30 bad rows of 130", "max_bad_fraction is 0.1", "or raise input.max_bad_fraction")),
        (1, 0, ("1 bad row of 1 read", "line 1: not JSON")),
    ],
)
def test_too_many_bad_rows_are_not_skipped(bad: int, good: int, says: tuple[str, ...], run: Run) -> None:
    said = refused(run, with_bad_rows(bad, good), **SKIP)
    assert all(part in said for part in says), said


def test_bad_rows_count_among_the_rows_read_at_most(run: Run) -> None:
    run.write(with_bad_rows(30))
    run.prepare(
        f"file://{run.folder}/in.jsonl",
        overrides=SKIP | {"input.max_records": 11, "input.max_bad_fraction": 0.5},
    )
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["bad_rows"]) == (6, 5)


def test_a_dry_run_counts_them_and_writes_nothing(run: Run) -> None:
    run.write(with_bad_rows(2))
    run.prepare(f"file://{run.folder}/in.jsonl", overrides=SKIP, dry_run=True)
    plan = run.xcoms["prepare", "plan"]
    assert plan["bad_rows"] == 2
    assert "bad_rows_uri" not in plan
    assert not list(run.folder.glob("work/**/*.jsonl"))
