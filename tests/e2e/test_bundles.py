"""A bundle of shards in one task of real Airflow, whose task state store the threads share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stack.run import DagRun
from stack.search import local_path
from tests.e2e.test_runs import box

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

ROWS, SHARDS = 180, 12


def test_of_twelve_shards_two_fail_to_upload_and_each_is_paid_once(stack: Stack, box: Box) -> None:
    rows = [{"id": f"row-{n}", "text": f"text number {n}"} for n in range(ROWS)]
    (folder := stack.home.data / "one_bundle").mkdir()
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    known = {job["id"] for job in box.ledger()}
    box.order("answer", method="POST", path="^/v1/files$", status=503, times=2)
    run = DagRun.trigger(stack, "one_bundle")
    assert run.wait() == "success"

    tries = {task["task_id"]: task["try_number"] for task in run.tasks()}
    assert tries["submit"] == 2
    jobs = run.xcom("submit")
    assert [job["shard"]["index"] for job in jobs] == list(range(SHARDS))
    paid = [job["id"] for job in box.ledger() if job["id"] not in known]
    assert sorted(job["provider_job_id"] for job in jobs) == sorted(paid)
    assert len(paid) == SHARDS

    report = run.xcom("fetch")["report"]
    assert (report["records"], report["answered"], report["missing"]) == (ROWS, ROWS, 0)
    landed = [json.loads(line) for uri in report["results"] for line in local_path(uri).open()]
    assert {row["id"] for row in landed} == {row["id"] for row in rows}
    assert {len(row["embedding"]) for row in landed} == {8}
