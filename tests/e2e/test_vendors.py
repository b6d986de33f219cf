"""Each vendor's demo on real Airflow processes: a killed worker and a cleared task, and one job an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]
import pytest

from stack.vendors import VENDORS, files_spec_of, set_up
from tests.e2e.test_repair import clear
from tests.e2e.test_runs import Box, start_small_run
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.run import DagRun
    from stack.stack import Stack

pytestmark = pytest.mark.e2e

ROWS = 120
SUBMIT = "shard.submit_batch"
CREATE = {
    "openai": "/v1/batches$",
    "sagemaker": "CreateTransformJob",
    "bedrock": "model-invocation-job$",
    "cohere": "/v1/embed-jobs$",
}
"""Of the path that makes a job."""


def test_each_vendor_is_tried_here() -> None:
    assert set(CREATE) == set(VENDORS)


@pytest.fixture(scope="module")
def known(stack: Stack) -> set[str]:
    """The jobs of the tests before."""
    return {job["id"] for job in Box(stack.sandbox_url).ledger()}


@pytest.fixture(scope="module")
def killed(stack: Stack, known: set[str]) -> dict[str, DagRun]:
    """A run each, whose worker died while the cluster still talked to the provider: so nobody noted the job.

    All before the first test, as each of them rests for half a minute before its retry.
    """
    return {vendor: killed_while_it_submits(stack, vendor) for vendor in CREATE}


def killed_while_it_submits(stack: Stack, vendor: str) -> DagRun:
    box = Box(stack.sandbox_url)
    jobs_before = len(box.ledger())
    set_up(vendor, stack.sandbox_url)
    box.order("hold", method="POST", path=CREATE[vendor])
    run = start_small_run(stack, spec=files_spec_of(vendor), rows=ROWS)
    eventually("the submission is held", lambda: not box.faults(), run.progress)
    kill_the_submit(stack, run)
    box.calm()
    eventually("the job that nobody noted", lambda: len(box.ledger()) == jobs_before + 1)
    return run


def kill_the_submit(stack: Stack, run: DagRun) -> None:
    """The task's own process, which bears its id as its title. What has ended, and was not asked for its end yet, has
    none.
    """
    (task,) = [task for task in run.tasks() if task["task_id"] == SUBMIT]
    assert task["state"] == "running"
    below = psutil.Process(stack.parts["scheduler"].pid).children(recursive=True)
    workers = [worker for worker in below if worker.status() != psutil.STATUS_ZOMBIE]
    (process,) = [worker for worker in workers if not worker.children() and task["id"] in " ".join(worker.cmdline())]
    process.kill()


@pytest.mark.parametrize("vendor", sorted(CREATE))
def test_a_killed_submit_and_a_clear_are_one_job(
    stack: Stack, killed: dict[str, DagRun], known: set[str], vendor: str
) -> None:
    def jobs() -> list[dict[str, Any]]:
        ledger = Box(stack.sandbox_url).ledger()
        return [job for job in ledger if job.get("provider") == vendor and job["id"] not in known]

    run = killed[vendor]
    assert run.wait() == "success"
    assert len(jobs()) == 1
    assert next(task["try_number"] for task in run.tasks() if task["task_id"] == SUBMIT) == 2

    clear(stack, run, SUBMIT)
    assert run.wait() == "success"
    report = run.xcom("report")
    assert (report["records"], report["answered"], report["missing"]) == (ROWS, ROWS, 0)
    assert len(jobs()) == 1
