"""The pages beside the manifests of the same runs: a run, a repaired run, a backfill of twenty nights."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.test_repair import Rounds
from tests.unit.airflow_database import Database, database
from tests.unit.served_pages import Pages, serving, table_of, values_of

NIGHTS = 20
OPERATORS = {
    "prepare": "PrepareInputOperator",
    "submit_0": "SubmitBatchOperator",
    "wait_0": "BatchSensor",
    "fetch_0": "FetchOutputOperator",
    "prepare_repair_1": "PrepareRepairOperator",
    "submit_1": "SubmitBatchOperator",
    "wait_1": "BatchSensor",
    "fetch_1": "FetchOutputOperator",
    "report": "ReportOperator",
}
SUMMED = ("records", "answered", "failed", "missing", "repaired", "actual_tokens")


@pytest.fixture
def airflow() -> Iterator[Database]:
    with database() as made:
        yield made


@pytest.fixture
def pages(airflow: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    with serving(airflow, monkeypatch) as served:
        served.readable("by_hand")
        yield served


def stored(airflow: Database, run: Run) -> None:
    """What Airflow keeps of the run: its tasks, and what they pushed."""
    airflow.run("by_hand", run.run_id, "success")
    pushed = {task_id for task_id, _ in run.xcoms}
    for task_id in pushed:
        airflow.task(("by_hand", run.run_id, task_id, -1), OPERATORS[task_id])
    for (task_id, key), value in run.xcoms.items():
        airflow.push(("by_hand", run.run_id, task_id, -1), key, value, datetime.now(UTC))


def night(folder: Path, server: Server, model_id: str, number: int) -> dict[str, Any]:
    """Run a night as a backfill does; return the run, and its manifest. Every third has rows that fail for good, every
    fourth rows that expire and are sent again.
    """
    folder.mkdir()
    run = Run(folder, f"backfill__{number}")
    if number % 3 == 0:
        server.fault("fail_rows", count=2, code="context_length_exceeded", message="<b>Too long.</b>")
    if number % 4 == 0:
        server.fault("expire", fraction=0.5)
    rounds = Rounds(run, model_id, rows=rows_of(5 + number), max_failed_fraction=1.0)
    rounds.shards()
    if rounds.landed[0][0]["landed"][0]["passing"]:
        rounds.repair()
    rounds.report()
    server.no_more_faults()
    return {"run": run, "manifest": run.manifest}


def of_run(pages: Pages, run: Run) -> str:
    answered = pages.run("by_hand", run.run_id)
    assert answered.status_code == 200
    return str(answered.text)


def figures(page: str) -> dict[str, int]:
    """Of a run's page, by the report's names; a count that is 0 has no line but records' and answered's."""
    values = values_of(page)
    found = {name: int(values.get(name, "0").replace(",", "")) for name in SUMMED[:-1]}
    return {**found, "actual_tokens": int(values["tokens"].split(" ")[0].replace(",", ""))}


def test_the_figures_of_a_backfill_are_those_of_its_manifests(
    server: Server, model_id: str, tmp_path: Path, airflow: Database, pages: Pages
) -> None:
    nights = [night(tmp_path / str(number), server, model_id, number) for number in range(NIGHTS)]
    for each in nights:
        stored(airflow, each["run"])
    reports = [each["manifest"]["report"] for each in nights]
    assert sum(report["repaired"] for report in reports) > 0, "or no night was repaired"
    assert sum(report["failed"] for report in reports) > 0, "or no row failed"

    for each, report in zip(nights, reports, strict=True):
        page = of_run(pages, each["run"])
        assert figures(page) == {name: report[name] for name in SUMMED}
        shards = table_of(page, "shard", "state", "job")
        assert [line["job"] for line in shards] == [job["provider_job_id"] for job in report["jobs"]]
        assert sum(int(line["answered"]) for line in shards) == report["answered"]
        assert sum(int(line["failed"]) for line in shards) == report["failed"]

    (line,) = table_of(pages.get().text, "DAG", "runs", "reasons")
    total = {name: sum(report[name] for report in reports) for name in SUMMED}
    assert line["runs"] == str(NIGHTS)
    shown = {"rows": "records", "tokens": "actual_tokens"} | {name: name for name in SUMMED[1:-1]}
    assert {name: line[name] for name in shown} == {name: f"{total[of]:,}" for name, of in shown.items()}
    assert line["jobs"] == str(sum(len(report["jobs"]) for report in reports)) == str(len(server.ledger))
    assert line["USD"] == f"${sum(report['actual_usd'] for report in reports):,.4f}"
    codes = sum(report["codes"].get("context_length_exceeded", 0) for report in reports)
    assert line["reasons"] == f"{codes} context_length_exceeded"


def test_a_repaired_run_names_its_failed_rows_with_the_vendors_words(
    server: Server, model_id: str, tmp_path: Path, airflow: Database, pages: Pages
) -> None:
    one = night(tmp_path / "0", server, model_id, 12)
    stored(airflow, one["run"])
    report = one["manifest"]["report"]
    reasons = table_of(of_run(pages, one["run"]), "reason", "sent again")
    assert {line["reason"]: (int(line["rows"]), int(line["sent again"])) for line in reasons} == {
        "context_length_exceeded": (report["codes"]["context_length_exceeded"], 0),
        "batch_expired": (0, report["passing"]["batch_expired"]),
    }
    assert reasons[0]["words"] == "<b>Too long.</b>", "as text"


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', None], ids=["empty", "cut", "newer", "gone"])
def test_a_broken_manifest_is_no_trouble_of_the_pages(
    server: Server, model_id: str, tmp_path: Path, airflow: Database, pages: Pages, content: bytes | None
) -> None:
    """They read what the run has pushed, and no file: the address of the manifest is for whoever may read it."""
    one = night(tmp_path / "1", server, model_id, 1)
    stored(airflow, one["run"])
    for path in one["run"].out.glob("*manifest*"):
        path.unlink() if content is None else path.write_bytes(content)
    page = of_run(pages, one["run"])
    assert figures(page) == {name: one["manifest"]["report"][name] for name in SUMMED}
    assert values_of(page)["manifest"] == one["manifest"]["report"]["manifest"]
    (line,) = table_of(pages.get().text, "DAG", "runs", "reasons")
    assert line["answered"] == str(one["manifest"]["report"]["answered"])
