"""What a cancelled batch has left is answered online at every vendor, with vectors as the batch's are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opensearch_batch.operators import (
    AnswerStragglersOperator,
    CancelBatchOperator,
    PrepareInputOperator,
    ReportOperator,
)
from tests.sandbox.bench import ML, Server, rows_of
from tests.vendors.vendors import Scene

ROWS = 120


def test_rows_of_a_cancelled_job_are_answered_online_each_once(scene: Scene, server: Server) -> None:
    run = scene.run
    limits = {"max_straggler_usd": 1, "straggler_usd_per_million_tokens": 0.1, "stragglers_per_second": 500}
    spec = scene.vendor.spec(run, run.write(rows_of(ROWS)), **limits)
    scene.spec = spec | {"wait": {**spec["wait"], "finish_by": 1}}
    bundles = run.execute(PrepareInputOperator(task_id="prepare", spec=scene.spec))
    scene.register()
    server.pace("polls:2")  # slow enough for the looks of a submission
    jobs = scene.submit(bundles)
    server.pace("polls:1000")
    run.execute(CancelBatchOperator(task_id="cancel", jobs=jobs, spec=scene.spec))
    server.pace("instant")
    landed = scene.fetch(scene.wait(jobs), stragglers=True)
    (batch,) = landed["landed"]
    left = ROWS - batch["answered"]
    assert left
    run.started_at = datetime.now(UTC) - timedelta(hours=2)
    answer = AnswerStragglersOperator(task_id="answer", planned_by="prepare", landed=[landed], model_id=scene.model_id)
    answered = run.execute(answer)
    run.task_states["answer"] = "success"
    report = run.execute(
        ReportOperator(task_id="report", planned_by="prepare", landed=[landed, answered], answered_by="answer")
    )
    assert (report["answered"], report["failed"], report["stragglers"]["answered"]) == (ROWS, 0, left)
    asked = [call for call in server.calls if call["path"] == f"{ML}/models/{scene.model_id}/_predict"]
    assert (len(asked), len(scene.vendor.jobs(server))) == (left, 1)
    assert report["stragglers"]["usd"] == pytest.approx(report["stragglers"]["tokens"] * 0.1 / 1e6)
    lengths = {len(row["embedding"]) for row in run.landed("results").values()}
    assert len(lengths) == 1
