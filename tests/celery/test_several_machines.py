"""Airflow on several machines that share PostgreSQL, a broker and S3: what happens when one of them goes.

The sandbox's ledger is the witness of what was sent and billed.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from stack.run import DagRun
from stack.several import ADDRESSES
from tests.celery.shared_place import IDS, ROWS, rows_at
from tests.e2e.test_repair import sent_since
from tests.e2e.test_runs import states, waiting_job
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.several import SeveralMachines
    from tests.e2e.test_runs import Box

pytestmark = pytest.mark.celery

NAMES = {address: name for name, address in ADDRESSES.items()}
SUBMIT, WAIT, FETCH = "shard.submit_batch", "shard.wait_for_batch", "shard.fetch_output"
# The call in the middle of which a task of theirs is held.
CALL_OF = {SUBMIT: {"method": "POST", "path": "_batch_predict"}, FETCH: {"method": "GET", "path": "/content$"}}


def task_of(run: DagRun, task_id: str) -> dict[str, Any]:
    """Of a mapped one the first; empty before the run has it."""
    return next((task for task in run.tasks() if task["task_id"] == task_id and task["map_index"] in (-1, 0)), {})


def held_in(stack: SeveralMachines, box: Box, task_id: str) -> tuple[DagRun, str]:
    """A run whose task is in the middle of its call, and the machine that runs the task."""
    box.order("hold", **CALL_OF[task_id])
    run = DagRun.trigger(stack, "batch_inference", {"spec": "embed_stdlib_docs"})
    eventually(f"{task_id} in its call", lambda: not box.faults(), run.progress)
    return run, NAMES[task_of(run, task_id)["hostname"]]


def triggerer_of(run: DagRun) -> str:
    """The machine whose triggerer holds the wait; "" while none does."""
    job = task_of(run, WAIT).get("triggerer_job")
    return NAMES[job["hostname"]] if job else ""


def assert_paid_and_landed_once(stack: SeveralMachines, box: Box, run: DagRun, known: set[str]) -> None:
    """Every row in one job of those that are new in the ledger, and once in the results."""
    assert run.wait() == "success"
    assert sorted(row for job in sent_since(stack, box, known) for row in job) == sorted(IDS)
    report = run.xcom("report")
    assert (report["answered"], report["failed"], report["missing"], report["duplicates"]) == (ROWS, 0, 0, 0)
    landed = [row["id"] for uri in report["results"] for row in rows_at(stack.sandbox_url, uri)]
    assert sorted(landed) == sorted(IDS)


@pytest.fixture
def known(box: Box) -> set[str]:
    """The provider's jobs before the test."""
    return {job["id"] for job in box.ledger()}


def test_the_demos_job_runs_on_both_workers_and_leaves_nothing_on_a_disk(
    stack: SeveralMachines, box: Box, known: set[str]
) -> None:
    run = DagRun.trigger(stack, "fill_stdlib_docs")
    assert run.wait() == "success"
    report = run.xcom("report")
    assert report["records"] > 1000
    assert (report["answered"], report["missing"], report["duplicates"]) == (report["records"], 0, 0)
    sent = [row for job in sent_since(stack, box, known) for row in job]
    assert (len(sent), len(set(sent))) == (report["records"], report["records"])
    assert {NAMES[task["hostname"]] for task in run.tasks() if task["hostname"]} >= {"worker-1", "worker-2"}
    assert "submitted as" in "\n".join(run.log(task_of(run, SUBMIT), lines=1000))
    kept = [path for name in ADDRESSES for path in stack.folder(name).rglob("*") if path.suffix in (".jsonl", ".part")]
    assert kept == []
    assert list(stack.home.data.iterdir()) == []


@pytest.mark.parametrize("task_id", [SUBMIT, FETCH])
def test_a_killed_worker_with_its_disk(stack: SeveralMachines, box: Box, known: set[str], task_id: str) -> None:
    """The held call reaches its server after the machine is gone."""
    run, worker = held_in(stack, box, task_id)
    stack.kill_part(worker)
    shutil.rmtree(stack.folder(worker))
    box.calm()
    assert_paid_and_landed_once(stack, box, run, known)
    task = task_of(run, task_id)
    assert task["try_number"] == 2
    assert NAMES[task["hostname"]] != worker
    stack.deploy(worker)


def test_a_drained_worker_ends_its_task_and_takes_no_other(stack: SeveralMachines, box: Box, known: set[str]) -> None:
    run, worker = held_in(stack, box, FETCH)
    part = stack.parts[worker]
    assert part.pid is not None
    os.kill(part.pid, signal.SIGTERM)
    eventually("told to go", lambda: "Warm shutdown" in part.log.read_text())
    assert part.running
    box.calm()
    eventually("gone", lambda: not part.running, run.progress)
    assert_paid_and_landed_once(stack, box, run, known)
    assert {task["try_number"] for task in run.tasks()} <= {0, 1}
    assert NAMES[task_of(run, FETCH)["hostname"]] == worker
    assert NAMES[task_of(run, "report")["hostname"]] != worker


def test_a_killed_triggerers_wait_goes_to_the_other(stack: SeveralMachines, box: Box, known: set[str]) -> None:
    box.pace("clock:600")
    run = DagRun.trigger(stack, "batch_inference", {"spec": "embed_stdlib_docs"})
    job = waiting_job(run, box)
    first = eventually("held by a triggerer", lambda: triggerer_of(run), run.progress)
    stack.kill_part(first)
    eventually("held by the other", lambda: triggerer_of(run) not in ("", first), run.progress)
    looks = box.looks(job["task_id"])
    eventually("a look by the other", lambda: box.looks(job["task_id"]) > looks, run.progress)
    assert states(run)[(WAIT, 0)] == "deferred"
    box.pace("instant")
    assert_paid_and_landed_once(stack, box, run, known)


def test_a_killed_schedulers_run_is_ended_by_the_other(stack: SeveralMachines, box: Box, known: set[str]) -> None:
    run, _ = held_in(stack, box, SUBMIT)
    stack.kill_part("scheduler-1")
    box.calm()
    assert_paid_and_landed_once(stack, box, run, known)
    assert not stack.healthy("scheduler-1")


def test_two_schedulers_share_the_work_of_many_runs(stack: SeveralMachines, box: Box, known: set[str]) -> None:
    """Each queues some task, and no shard is submitted twice."""
    runs = [DagRun.trigger(stack, "batch_inference", {"spec": "embed_stdlib_docs", "rows": n}) for n in (10, 20, 30)]
    assert [run.wait() for run in runs] == ["success"] * 3
    assert sorted(map(len, sent_since(stack, box, known))) == [10, 20, 30]
    for name in ("scheduler-1", "scheduler-2"):
        assert "Setting external_executor_id" in stack.parts[name].log.read_text()
