"""A run whose time is up: its batch has answered some of its rows, and the others are open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opensearch_batch.operators import AnswerStragglersOperator, PrepareRepairOperator, ReportOperator
from tests.sandbox.bench import Run, Server, rows_of

ROWS = 10
ROW = rows_of(ROWS)
IDS = {row["id"] for row in ROW}
PREDICT = "/_predict"


class Flow:
    """A run with a repair round, on a spec that finishes an hour after the run's start, or says something else;
    `sections` stand instead of its own.
    """

    def __init__(
        self,
        run: Run,
        model_id: str,
        rows: Any = None,
        finish_by: float | None = 1,
        model: dict[str, Any] | None = None,
        output_format: str = "jsonl",
        sections: Any = None,
        **limits: Any,
    ) -> None:
        self.run = run
        self.model_id: Any = model_id
        embeds = {"texts_per_request": limits.pop("texts_per_request", 1), "parameters": {"dimensions": 8}}
        spec: dict[str, Any] = {
            "name": "by_hand",
            "model": model or {"name": "text-embedding-3-small", **embeds},
            "input": {"uri": run.write(rows or rows_of(ROWS))},
            "output": {"uri": f"file://{run.out}", "format": output_format},
            "work_uri": f"file://{run.folder}/work",
            "wait": {"finish_by": finish_by, "poll_seconds": 0.05},
            "limits": {"max_straggler_usd": 1, "stragglers_per_second": 500, **limits},
            **(sections or {}),
        }
        self.bundles = run.prepare(spec["input"]["uri"], spec=spec, model=None, model_parameters=None, work_uri=None)
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

    def answer(self, repaired_by: Sequence[str] = ("repair",)) -> Any:
        answer = AnswerStragglersOperator(
            task_id="answer",
            planned_by="prepare",
            landed=self.landed,
            repaired_by=repaired_by,
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


def asked_online(server: Server) -> int:
    """How often the provider was asked online, whatever it said."""
    return sum(call["path"] == "/v1/embeddings" for call in server.calls)


def cut_off(server: Server, run: Run, model_id: str, rows: Any = None, **limits: Any) -> Flow:
    """A run whose batch was cancelled with 4 of 10 rows answered, and whose time is up."""
    server.fault("cancel", fraction=0.4)
    flow = Flow(run, model_id, rows, **limits)
    flow.round()
    time_is_up(run)
    return flow


def time_is_up(run: Run) -> None:
    """It has begun two hours ago."""
    run.started_at = datetime.now(UTC) - timedelta(hours=2)


def figures(report: Any) -> dict[str, int]:
    return {name: report[name] for name in ("answered", "failed", "missing", "repaired", "left") if report[name]}
