"""Stragglers: at wait.finish_by batches end, and what they have left is answered one by one, each row once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from opensearch_batch.operators import AnswerStragglersOperator, PrepareRepairOperator, ReportOperator
from opensearch_batch.stragglers import asking
from tests.sandbox.bench import Run, Server, first_event, lines_of, rebuilt, rows_of, sensor

ROWS = 10
IDS = {row["id"] for row in rows_of(ROWS)}
PREDICT = "/_predict"
LONG_AGO = datetime(2026, 1, 30, tzinfo=UTC)


class Flow:
    """A run with a repair round, on a spec that finishes an hour after the run's start."""

    def __init__(self, run: Run, model_id: str, rows: Any = None, **limits: Any) -> None:
        self.run, self.model_id = run, model_id
        spec = {
            "name": "by_hand",
            "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
            "input": {"uri": run.write(rows or rows_of(ROWS))},
            "output": {"uri": f"file://{run.out}"},
            "work_uri": f"file://{run.folder}/work",
            "wait": {"finish_by": 1, "poll_seconds": 0.05},
            "limits": {"max_straggler_usd": 1, "stragglers_per_second": 500, **limits},
        }
        self.bundles = run.prepare(
            spec["input"]["uri"], spec=spec, model=None, model_parameters=None, work_uri=None
        )
        self.spec = run.xcoms["prepare", "spec"]
        self.landed: list[Any] = []

    def round(self, number: int = 0, bundles: Any = None) -> None:
        run = self.run
        jobs = run.submit(self.model_id, bundles or self.bundles, task_id=f"submit_{number}", spec=self.spec)
        outcomes = run.wait(jobs, task_id=f"wait_{number}", spec=self.spec)
        fetch = {"final": False, "repair": number < 1, "stragglers": True}
        self.landed.append(run.fetch(outcomes, task_id=f"fetch_{number}", spec=self.spec, **fetch))

    def repair(self) -> Any:
        return self.run.execute(PrepareRepairOperator(task_id="repair", landed=self.landed[:1], spec=self.spec))

    def answer(self) -> Any:
        answer = AnswerStragglersOperator(
            task_id="answer",
            planned_by="prepare",
            landed=self.landed,
            repaired_by=["repair"],
            model_id=self.model_id,
        )
        answered = self.run.execute(answer)
        self.run.task_states["answer"] = "success"
        return answered

    def report(self, *answered: Any) -> Any:
        return self.run.execute(
            ReportOperator(
                task_id="report",
                planned_by="prepare",
                landed=[*self.landed, *answered],
                repaired_by=["repair"],
                answered_by="answer",
            )
        )

    @property
    def stragglers(self) -> Any:
        return self.run.xcoms["answer", "stragglers"]


def predictions(server: Server) -> Counter[str]:
    """How often the provider was asked online for each text, whatever it said."""
    asked = [call for call in server.calls if call["path"] == "/v1/embeddings"]
    return Counter({"all": len(asked)})


def finished(flow: Flow) -> None:
    """The run has begun two hours ago."""
    flow.run.started_at = datetime.now(UTC) - timedelta(hours=2)


def test_rows_open_at_finish_by_are_answered_online_each_once(server: Server, model_id: str, run: Run) -> None:
    server.fault("cancel", fraction=0.4)
    flow = Flow(run, model_id)
    flow.round()
    finished(flow)
    with pytest.raises(AirflowSkipException, match="no further batch is sent"):
        flow.repair()
    report = flow.report(flow.answer())
    assert predictions(server)["all"] == 6
    assert (report["answered"], report["failed"], report["missing"], report["repaired"]) == (ROWS, 0, 0, 0)
    assert (len(server.ledger), len(report["jobs"])) == (1, 1)
    landed = run.landed("results")
    assert set(landed) == IDS
    assert {len(row["embedding"]) for row in landed.values()} == {8}
    assert report["stragglers"]["answered"] == 6
