"""Acts of a person on whole runs of real Airflow, and what becomes of their jobs: docs/explanation/acts.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stack.run import DagRun, wait_for_dag
from tests.e2e.test_runs import box, rows_of, start_small_run, states, waiting_job, write_articles
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

OPEN = ("validating", "in_progress", "finalizing")
ENDED_EARLY = ("cancelling", "cancelled")


def orphans(stack: Stack, *words: str) -> list[str]:
    """The lines of the command, run beside the scheduler as Airflow's own commands are."""
    env = dict(stack.parts["scheduler"].env)
    env["PYTHONPATH"] = env["AIRFLOW__CORE__PLUGINS_FOLDER"]
    spec = Path(env["AIRFLOW__CORE__DAGS_FOLDER"]) / "specs" / "embed_stdlib_docs.yaml"
    command = [sys.executable, "-m", "opensearch_batch.orphans", str(spec), *words]
    done = subprocess.run(command, env=env, cwd=stack.home.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def beats_of_scheduler(stack: Stack, seen: set[str]) -> int:
    """How many heartbeats were seen, with the last one."""
    seen.add(stack.api("GET", "/monitor/health")["scheduler"]["latest_scheduler_heartbeat"])
    return len(seen)


def backfilled(stack: Stack, day: str, **how: Any) -> str:
    """Create a backfill of one night, wait for its end, and return its run's state."""
    body = {"dag_id": "nightly_batch", "from_date": f"{day}T00:00:00Z", "to_date": f"{day}T23:00:00Z", **how}
    backfill = stack.api("POST", "/backfills", body)["id"]
    every_night = DagRun(stack, "nightly_batch", "~")
    ended = eventually(
        f"backfill {backfill}",
        lambda: stack.api("GET", f"/backfills/{backfill}")["completed_at"],
        every_night.progress,
    )
    assert ended
    between = {"logical_date_gte": body["from_date"], "logical_date_lte": body["to_date"]}
    (run,) = stack.api("GET", "/dags/nightly_batch/dagRuns", params=between)["dag_runs"]
    return str(run["state"])


def test_a_run_marked_failed_while_it_waits_cancels_its_job(stack: Stack, box: Box) -> None:
    box.pace("clock:600")
    run = start_small_run(stack)
    job = waiting_job(run, box)
    assert box.job(job["provider_job_id"])["status"] in OPEN
    stack.api("PATCH", run.path, {"state": "failed"})
    eventually("cancelled", lambda: box.job(job["provider_job_id"])["status"] in ENDED_EARLY)


def test_the_job_of_a_deleted_run_goes_on_until_orphans_ends_it(stack: Stack, box: Box) -> None:
    box.pace("clock:600")
    deleted, kept = start_small_run(stack), start_small_run(stack, rows=40)
    gone, waits = waiting_job(deleted, box), waiting_job(kept, box)
    stack.kill_part("triggerer")  # one that looks between the two acts ends the job
    stack.api("PATCH", deleted.path, {"state": "failed"})
    stack.api("DELETE", deleted.path)
    stack.start_part("triggerer")
    looks = box.looks(waits["task_id"])
    eventually("the triggerer looks again", lambda: box.looks(waits["task_id"]) > looks)
    assert box.job(gone["provider_job_id"])["status"] in OPEN

    listed = {line.split()[1]: line.split()[0] for line in orphans(stack) if "batch_" in line}
    assert (listed[gone["provider_job_id"]], listed[waits["provider_job_id"]]) == ("ORPHAN", "owned")
    assert box.job(gone["provider_job_id"])["status"] in OPEN

    orphans(stack, "--cancel")
    assert box.job(gone["provider_job_id"])["status"] in ENDED_EARLY
    box.pace("instant")
    assert kept.wait() == "success"
    assert kept.xcom("report")["answered"] == 40


def test_a_run_of_a_paused_dag_lands_once_the_dag_goes_on(stack: Stack, box: Box) -> None:
    box.pace("clock:600")
    jobs_before = len(box.ledger())
    run = start_small_run(stack)
    waiting_job(run, box)
    stack.api("PATCH", "/dags/batch_inference", {"is_paused": True})
    box.pace("instant")
    eventually("the wait has ended", lambda: states(run)["shard.wait_for_batch", 0] != "deferred", run.progress)
    seen: set[str] = set()
    eventually("the scheduler goes on", lambda: beats_of_scheduler(stack, seen) > 2)
    held = states(run)
    assert held["report", -1] in (None, "scheduled")
    assert "scheduled" in held.values()

    stack.api("PATCH", "/dags/batch_inference", {"is_paused": False})
    assert run.wait() == "success"
    assert run.xcom("report")["answered"] == 50
    assert len(box.ledger()) - jobs_before == 1


def test_a_backfill_with_reprocessing_pays_again_with_the_word_alone(stack: Stack, box: Box) -> None:
    day = "2026-10-01"
    write_articles(stack, day, 3)
    jobs_before = len(box.ledger())
    wait_for_dag(stack, "nightly_batch")
    stack.api("PATCH", "/dags/nightly_batch", {"is_paused": False})

    def paid() -> int:
        return len(box.ledger()) - jobs_before

    assert (backfilled(stack, day, reprocess_behavior="none"), paid()) == ("success", 1)
    assert (backfilled(stack, day, reprocess_behavior="completed"), paid()) == ("success", 1)
    word = {"force_resubmit": "the first answers were cut"}
    assert (backfilled(stack, day, reprocess_behavior="completed", dag_run_conf=word), paid()) == ("success", 2)
    rows = rows_of(stack.home.data / "article-embeddings" / day)
    assert sorted(row["id"] for row in rows) == [f"{day}/{n}" for n in range(3)]
