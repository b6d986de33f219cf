"""A backfill with a limit, on real Airflow processes. The witness is the sandbox: how many jobs were live at once."""

from __future__ import annotations

import datetime
import json
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from opensearch_batch.pages.address import PREFIX
from stack.run import DagRun, wait_for_dag
from tests.e2e.conftest import NIGHTLY_LIMIT as LIMIT
from tests.e2e.test_runs import Box, rows_of, write_articles
from tests.patience import eventually
from tests.unit.served_pages import table_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stack.stack import Stack

pytestmark = pytest.mark.e2e

NIGHTS = int(os.environ.get("NIGHTS", "4"))
"""NIGHTS=20 takes some minutes."""
FIRST = datetime.date(2026, 3, 1)


@pytest.fixture
def box(stack: Stack) -> Iterator[Box]:
    control = Box(stack.sandbox_url)
    yield control
    control.calm()


def high_water(stack: Stack) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{stack.sandbox_url}/_sandbox/high-water", trust_env=False).json()
    return found


def submits(stack: Stack, body: dict[str, Any], state: str) -> dict[str, Any]:
    """One of them, and `total_entries`."""
    where = {"run_after_gte": body["from_date"], "task_id": "shard.submit_batch", "state": state, "limit": 1}
    found: dict[str, Any] = stack.api("GET", "/dags/nightly_batch/dagRuns/~/taskInstances", params=where)
    return found


def test_a_backfill_of_many_nights_never_has_more_jobs_in_flight_than_the_limit(stack: Stack, box: Box) -> None:
    """All nights run at once. Nothing ends until all the others wait: then there is room for one after the other."""
    days = [FIRST + datetime.timedelta(days=n) for n in range(NIGHTS)]
    for day in days:
        write_articles(stack, day.isoformat(), 2)
    jobs_before = len(box.ledger())
    forgotten = httpx.delete(f"{stack.sandbox_url}/_sandbox/high-water", trust_env=False).raise_for_status().json()
    assert (forgotten["jobs"], forgotten["live_jobs"]) == (0, 0)
    box.pace("clock:3600")
    wait_for_dag(stack, "nightly_batch")
    stack.api("PATCH", "/dags/nightly_batch", {"is_paused": False})
    body = {
        "dag_id": "nightly_batch",
        "from_date": f"{days[0]}T00:00:00Z",
        "to_date": f"{days[-1]}T23:00:00Z",
        "max_active_runs": NIGHTS,
        "reprocess_behavior": "none",
    }
    backfill = stack.api("POST", "/backfills", body)["id"]
    every_night = DagRun(stack, "nightly_batch", "~")

    def the_others_wait() -> bool:
        return bool(submits(stack, body, "deferred")["total_entries"] == NIGHTS - LIMIT)

    eventually("the others wait", the_others_wait, every_night.progress)
    (task,) = submits(stack, body, "deferred")["task_instances"]
    run = DagRun(stack, "nightly_batch", task["dag_run_id"])
    said = f"shard 0 waits for its turn: at least {LIMIT} jobs are in flight"
    eventually("its log says what it waits for", lambda: any(said in line for line in run.log(task)))
    assert (len(box.ledger()) - jobs_before, high_water(stack)["live_jobs"]) == (LIMIT, LIMIT)
    box.pace("clock:5")

    def finished() -> list[dict[str, Any]]:
        query = {"logical_date_gte": body["from_date"], "logical_date_lte": body["to_date"], "limit": 100}
        runs = stack.api("GET", "/dags/nightly_batch/dagRuns", params=query)["dag_runs"]
        ended = [run for run in runs if run["state"] in ("success", "failed")]
        return ended if len(ended) == NIGHTS else []

    runs = eventually(f"backfill {backfill}", finished, every_night.progress)
    eventually("its end is noted", lambda: stack.api("GET", f"/backfills/{backfill}")["completed_at"])
    assert {run["state"] for run in runs} == {"success"}
    assert high_water(stack)["jobs"] == LIMIT
    assert len(box.ledger()) - jobs_before == NIGHTS
    output = stack.home.data / "article-embeddings"
    assert all(len(rows_of(output / day.isoformat())) == 2 for day in days)
    eventually("the page has the manifests' figures", lambda: figures_of_page(stack) == figures_of_manifests(output))


SUMMED = {"rows": "records", "answered": "answered", "tokens": "actual_tokens"}


def figures_of_page(stack: Stack) -> dict[str, str]:
    """Past runs are read once a minute."""
    lines = table_of(stack.page(f"{PREFIX}/"), "DAG", "runs", "reasons")
    return next(({name: line[name] for name in SUMMED} for line in lines if line["DAG"] == "nightly_batch"), {})


def figures_of_manifests(output: Path) -> dict[str, str]:
    reports = [json.loads(path.read_bytes())["report"] for path in output.glob("*/manifest.json")]
    assert len(reports) >= NIGHTS
    return {name: f"{sum(report[key] for report in reports):,}" for name, key in SUMMED.items()}
