"""python -m benchmarks.backfill: a backfill of 100 nights, all at once, through real Airflow processes.

Not part of `make bench`, because it takes long. Prints one JSON object, keeps it as a table in
RESULTS.md; exits 1 when a run failed, or when more jobs were ever live at the sandbox than the limit of
dags/specs/nightly_articles.yaml.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks import results
from stack.airflow import CHECKOUT
from stack.processes import StackError
from stack.run import wait_for_dag
from stack.stack import Stack

DAG_ID = "nightly_batch"
FIRST = datetime.date(2026, 1, 1)
ROWS = 10
LOOK_SECONDS = 5.0
TITLE = "A backfill with a limit of jobs in flight"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=100)
    parser.add_argument("--pace", default="clock:60", help="of the sandbox's batches (%(default)s)")
    parser.add_argument("--minutes", type=float, default=90, help="give up after so long (%(default)s)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args()
    spec = yaml.safe_load((CHECKOUT / "dags" / "specs" / "nightly_articles.yaml").read_text(encoding="utf-8"))
    limit = int(spec["limits"]["max_jobs_in_flight"])
    with tempfile.TemporaryDirectory() as home, Stack(Path(home), pace=given.pace) as stack:
        found = backfilled(stack, given.nights, given.minutes * 60)
    found |= {"limit": limit, "pace": given.pace}
    print(json.dumps(found))
    results.keep(given.results, TITLE, report(found))
    return 0 if found["succeeded"] == given.nights and found["most_live_jobs"] <= limit else 1


def report(found: dict[str, Any]) -> str:
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items()]
    return "\n".join(
        [
            f"Written by `{' '.join(['python -m benchmarks.backfill', *sys.argv[1:]])}`.",
            f"Machine: {results.machine()}. All nights at once; the sandbox counts live jobs itself.",
            "",
            "| | |",
            "|---|--:|",
            *lines,
        ]
    )


def backfilled(stack: Stack, nights: int, seconds: float) -> dict[str, Any]:
    """Every night's run may be under way at once; raise StackError after `seconds`."""
    days = [FIRST + datetime.timedelta(days=n) for n in range(nights)]
    for day in days:
        folder = stack.home.data / "articles" / day.isoformat()
        folder.mkdir(parents=True)
        lines = [json.dumps({"id": f"{day}/{n}", "text": f"article {n} of {day}"}) for n in range(ROWS)]
        (folder / "part-0.jsonl").write_text("\n".join(lines), encoding="utf-8")
    wait_for_dag(stack, DAG_ID)
    stack.api("PATCH", f"/dags/{DAG_ID}", {"is_paused": False})
    between = {"from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T23:00:00Z"}
    began = time.monotonic()
    stack.api(
        "POST", "/backfills", {"dag_id": DAG_ID, **between, "max_active_runs": nights, "reprocess_behavior": "none"}
    )
    most_waiting = 0
    while sum(ended := [_count(stack, between, state) for state in ("success", "failed")]) < nights:
        if time.monotonic() - began > seconds:
            raise StackError(f"{ended} of {nights} runs have succeeded and failed after {seconds:.0f} s")
        waiting = {"run_after_gte": between["from_date"], "task_id": "shard.submit_batch", "state": "deferred"}
        path = f"/dags/{DAG_ID}/dagRuns/~/taskInstances"
        most_waiting = max(most_waiting, stack.api("GET", path, params=waiting)["total_entries"])
        time.sleep(LOOK_SECONDS)
    took = time.monotonic() - began
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=60) as sandbox:
        jobs = sandbox.get("/_sandbox/ledger").raise_for_status().json()
        most = sandbox.get("/_sandbox/high-water").raise_for_status().json()["jobs"]
    return {
        "nights": nights,
        "succeeded": ended[0],
        "jobs": len(jobs),
        "most_live_jobs": most,
        "most_waiting_for_their_turn": most_waiting,
        "seconds": round(took),
    }


def _count(stack: Stack, between: dict[str, str], state: str) -> int:
    query = {
        "logical_date_gte": between["from_date"],
        "logical_date_lte": between["to_date"],
        "state": state,
        "limit": 1,
    }
    return int(stack.api("GET", f"/dags/{DAG_ID}/dagRuns", params=query)["total_entries"])


if __name__ == "__main__":
    sys.exit(main())
