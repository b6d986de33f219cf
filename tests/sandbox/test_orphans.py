"""Jobs that no run owns: listed, and cancelled on order; what a run waits for is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.orphans import __main__ as orphans
from opensearch_batch.orphans import known_runs
from opensearch_batch.spec import BatchSpec
from tests.sandbox.bench import Run, Server, TaskInstance, rows_of
from tests.unit.test_orphans import Airflow

VERSION = str(TaskInstance.dag_version_id)
OPEN = ("validating", "in_progress")


def spec_of(run: Run) -> BatchSpec:
    return BatchSpec.check(
        {
            "name": "by_hand",
            "model": {"name": "text-embedding-3-small"},
            "input": {"uri": f"file://{run.folder}/in.jsonl"},
            "output": {"uri": f"file://{run.out}"},
            "work_uri": f"file://{run.folder}/work",
        }
    )


def look(run: Run, airflow: Airflow, *, cancel: bool = True, **settings: Any) -> int:
    spec = spec_of(run)
    return orphans.look(spec, orphans._store_of(spec), airflow, cancel=cancel, **settings)


def open_jobs(server: Server) -> set[str]:
    return {job["id"] for job in server.ledger if job["status"] in OPEN}


@pytest.fixture
def two(server: Server, model_id: str, tmp_path: Path) -> tuple[Run, Run, list[str]]:
    """Two runs at one work_uri that wait; their jobs in the order of the runs."""
    server.pace("polls:1000")
    made, jobs = [], []
    for name, rows in (("gone", 3), ("waits", 4)):
        run = Run(tmp_path, f"manual__{name}")
        jobs += run.submit(model_id, run.prepare(rows_of(rows)))
        made.append(run)
    return made[0], made[1], [job["provider_job_id"] for job in jobs]


def test_a_deleted_runs_job_is_cancelled_and_a_waiting_runs_job_is_not(
    server: Server, two: tuple[Run, Run, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, (gone, waits) = two
    airflow = Airflow({"by_hand/manual__waits": "running"}, (VERSION,))
    assert look(run, airflow, cancel=False) == 0
    assert open_jobs(server) == {gone, waits}
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"owned {waits} (")
    assert said[0].endswith("of the run by_hand/manual__waits (running), task submit")
    assert said[1].startswith(f"ORPHAN {gone} (")
    assert said[1].endswith("of the run by_hand/manual__gone, which was deleted")
    assert said[2] == "2 jobs run, 1 without a run"
    assert look(run, airflow) == 0
    assert open_jobs(server) == {waits}
    assert f"ORPHAN {gone}" in (out := capsys.readouterr().out)
    assert out.count("; cancelled") == 1


def test_nothing_is_cancelled_where_the_owner_cannot_be_told(
    server: Server, two: tuple[Run, Run, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, jobs = two
    assert look(run, Airflow(versions=())) == 0
    assert "another airflow may have the run" in capsys.readouterr().out.lower()
    for claim in run.folder.glob("work/jobs/*/*.json"):
        claim.unlink()
    assert look(run, Airflow(versions=(VERSION,))) == 0
    assert capsys.readouterr().out.count("no claim of it at work_uri") == 2
    assert open_jobs(server) == set(jobs)


def test_claims_of_another_work_uri_are_found_there(server: Server, two: tuple[Run, Run, list[str]]) -> None:
    run, _, jobs = two
    (run.folder / "work").rename(run.folder / "before")
    airflow = Airflow(versions=(VERSION,))
    look(run, airflow)
    assert open_jobs(server) == set(jobs)
    look(run, airflow, more_work=[f"file://{run.folder}/before"])
    assert open_jobs(server) == set()


def test_a_cancel_that_the_provider_refuses_is_named_and_stops_no_other(
    server: Server, two: tuple[Run, Run, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, (first, second) = two
    server.fault("answer", method="POST", path=f"/v1/batches/{second}/cancel", status=403, body="no")
    assert look(run, Airflow(versions=(VERSION,))) == 1
    assert "NOT cancelled" in capsys.readouterr().out
    assert open_jobs(server) == {second}
    assert first not in open_jobs(server)


def test_the_command_cancels_nothing_where_airflows_database_does_not_answer(
    server: Server,
    two: tuple[Run, Run, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from contextlib import contextmanager

    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    @contextmanager
    def empty() -> Any:
        with Session(create_engine("sqlite://")) as session:
            yield known_runs.KnownRuns(session)

    run, _, jobs = two
    monkeypatch.setattr(known_runs, "known_runs", empty)
    path = run.folder / "spec.yaml"
    path.write_text(json.dumps(spec_of(run).to_dict()))
    assert orphans.main([str(path), "--cancel"]) == 1
    assert "does not tell which runs there are" in capsys.readouterr().err
    assert open_jobs(server) == set(jobs)
