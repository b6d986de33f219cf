"""The other vendors' demos on real Airflow processes: a killed worker and a cleared task, and one job an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stack.vendors import VENDORS, set_up
from tests.e2e.test_repair import clear
from tests.e2e.test_runs import RUN_SECONDS, Box, box, eventually, kill_the_submit, start_small_run

if TYPE_CHECKING:
    from stack.stack import Stack

pytestmark = pytest.mark.e2e

__all__ = ["box"]

ROWS = 120
CREATE = {
    "sagemaker": "CreateTransformJob",
    "bedrock": "model-invocation-job$",
    "cohere": "/v1/embed-jobs$",
}
"""Of the path that makes a job."""


def test_each_vendor_beside_the_default_is_tried_here() -> None:
    assert set(CREATE) == set(VENDORS[1:])


@pytest.mark.parametrize("vendor", sorted(CREATE))
def test_a_killed_submit_and_a_clear_are_one_job(stack: Stack, box: Box, vendor: str) -> None:  # noqa: F811
    def jobs() -> list[dict[str, Any]]:
        return [job for job in box.ledger() if job.get("provider") == vendor]

    set_up(vendor, stack.sandbox_url)
    box.order("delay", method="POST", path=CREATE[vendor], seconds=6)
    run = start_small_run(stack, spec=f"embed_stdlib_docs_{vendor}", rows=ROWS)
    kill_the_submit(stack, run)
    eventually("the job that nobody noted", lambda: len(jobs()) == 1)
    assert run.wait(RUN_SECONDS) == "success"
    assert next(task["try_number"] for task in run.tasks() if task["task_id"] == "shard.submit_batch") == 2

    clear(stack, run, "shard.submit_batch")
    assert run.wait(RUN_SECONDS) == "success"
    report = run.xcom("report")
    assert (report["records"], report["answered"], report["missing"]) == (ROWS, ROWS, 0)
    assert len(jobs()) == 1
