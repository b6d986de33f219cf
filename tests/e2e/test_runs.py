"""The project's DAGs on real Airflow processes, started and disturbed through the REST API as a user would."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from stack.run import DagRun, wait_for_dag
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stack.stack import Stack

pytestmark = pytest.mark.e2e


class Box:
    """The sandbox's control and the provider's own view."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": "Bearer sk-sandbox-not-a-secret"}, timeout=30)

    def pace(self, pace: str) -> None:
        self._http.post("/_sandbox/pace", json={"pace": pace}).raise_for_status()

    def order(self, fault: str, **params: Any) -> None:
        self._http.post("/_sandbox/faults", json={"fault": fault, **params}).raise_for_status()

    def faults(self) -> list[dict[str, Any]]:
        """Those that have not happened yet."""
        found: list[dict[str, Any]] = self._http.get("/_sandbox/faults").raise_for_status().json()
        return found

    def calm(self) -> None:
        self._http.delete("/_sandbox/faults").raise_for_status()
        self.pace("instant")

    def ledger(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self._http.get("/_sandbox/ledger").raise_for_status().json()
        return jobs

    def looks(self, task_id: str) -> int:
        calls = self._http.get("/_sandbox/calls").raise_for_status().json()
        return sum(call["method"] == "GET" and call["path"].endswith(f"/tasks/{task_id}") for call in calls)

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self._http.get(f"/v1/batches/{job_id}").raise_for_status().json()
        return job

    def count(self, kind: str, name: str) -> int:
        query = {"query": {"term": {"name.keyword": name}}, "size": 50}
        answer = self._http.post(f"/_plugins/_ml/{kind}/_search", json=query).raise_for_status().json()
        return int(answer["hits"]["total"]["value"])


@pytest.fixture
def box(stack: Stack) -> Iterator[Box]:
    control = Box(stack.sandbox_url)
    yield control
    control.calm()


def states(run: DagRun) -> dict[tuple[str, int], str]:
    return {(task["task_id"], task["map_index"]): task["state"] for task in run.tasks()}


def waiting_job(run: DagRun, box: Box) -> dict[str, Any]:
    """The run's one job, once the triggerer itself has looked at it."""
    wait = ("shard.wait_for_batch", 0)
    eventually("deferred", lambda: states(run).get(wait) == "deferred", run.progress)
    job: dict[str, Any] = run.xcom("shard.submit_batch", map_index=0)[0]
    before = box.looks(job["task_id"])
    eventually("a look from the triggerer", lambda: box.looks(job["task_id"]) > before)
    return job


def start_small_run(stack: Stack, **conf: Any) -> DagRun:
    """Fifty docstrings in one shard, through the form's DAG."""
    from stdlib_docstrings import write_docstrings

    corpus = stack.home.data / "embed_stdlib_docs" / "docstrings.jsonl"
    if not corpus.exists():
        write_docstrings(corpus.as_uri())
    return DagRun.trigger(stack, "batch_inference", {"spec": "embed_stdlib_docs", "rows": 50, **conf})


def write_articles(stack: Stack, day: str, rows: int) -> None:
    folder: Path = stack.home.data / "articles" / day
    folder.mkdir(parents=True)
    lines = [json.dumps({"id": f"{day}/{n}", "text": f"article {n} of {day}"}) for n in range(rows)]
    (folder / "part-0.jsonl").write_text("\n".join(lines))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("results-*.jsonl")) for line in path.open()]


def test_three_nights_are_backfilled_and_an_empty_one_is_no_failure(stack: Stack, box: Box) -> None:
    write_articles(stack, "2026-11-03", 3)
    write_articles(stack, "2026-11-05", 4)
    jobs_before = len(box.ledger())
    wait_for_dag(stack, "nightly_batch")
    stack.api("PATCH", "/dags/nightly_batch", {"is_paused": False})

    body = {
        "dag_id": "nightly_batch",
        "from_date": "2026-11-03T00:00:00Z",
        "to_date": "2026-11-05T23:00:00Z",
        "max_active_runs": 3,
        "reprocess_behavior": "none",
    }
    backfill = stack.api("POST", "/backfills", body)["id"]
    every_night = DagRun(stack, "nightly_batch", "~")

    def finished() -> list[dict[str, Any]]:
        between = {"logical_date_gte": body["from_date"], "logical_date_lte": body["to_date"]}
        found = stack.api("GET", "/dags/nightly_batch/dagRuns", params=between)["dag_runs"]
        ended = [run for run in found if run["state"] in ("success", "failed")]
        return ended if len(ended) == 3 else []

    runs = {run["logical_date"][:10]: run for run in eventually(f"backfill {backfill}", finished, every_night.progress)}
    assert {day: run["state"] for day, run in runs.items()} == dict.fromkeys(
        ("2026-11-03", "2026-11-04", "2026-11-05"), "success"
    )
    output = stack.home.data / "article-embeddings"
    assert [row["id"] for row in rows_of(output / "2026-11-05")].count("2026-11-05/3") == 1
    for day, rows in (("2026-11-03", 3), ("2026-11-05", 4)):
        assert {row["id"] for row in rows_of(output / day)} == {f"{day}/{n}" for n in range(rows)}
        assert json.loads((output / day / "manifest.json").read_text())["report"]["answered"] == rows
    empty = DagRun(stack, "nightly_batch", runs["2026-11-04"]["dag_run_id"])
    assert states(empty).pop(("prepare_input", -1)) == "success"
    assert {state for (task, _), state in states(empty).items() if task != "prepare_input"} == {"skipped"}
    manifest = json.loads((output / "2026-11-04" / "manifest.json").read_text())
    assert (manifest["report"]["records"], manifest["files"]) == (0, [])
    assert len(box.ledger()) - jobs_before == 2
    assert (box.count("connectors", "article-embedding"), box.count("models", "article-embedding")) == (1, 1)


def test_a_wait_survives_a_killed_and_restarted_triggerer(stack: Stack, box: Box) -> None:
    box.pace("clock:600")
    jobs_before = len(box.ledger())
    run = start_small_run(stack)
    job = waiting_job(run, box)

    stack.kill_part("triggerer")
    box.pace("instant")
    assert states(run)[("shard.wait_for_batch", 0)] == "deferred"
    stack.start_part("triggerer")

    assert run.wait() == "success"
    report = run.xcom("report")
    assert (report["answered"], report["missing"]) == (50, 0)
    assert [entry["provider_job_id"] for entry in report["jobs"]] == [job["provider_job_id"]]
    assert len(box.ledger()) - jobs_before == 1


def test_clearing_the_wait_goes_on_with_the_job_and_failing_it_cancels_the_job(stack: Stack, box: Box) -> None:
    box.pace("clock:600")
    run = start_small_run(stack)
    job = waiting_job(run, box)
    clear = {
        "dry_run": False,
        "task_ids": [["shard.wait_for_batch", 0]],
        "dag_run_id": run.run_id,
        "only_failed": False,
    }

    stack.api("POST", "/dags/batch_inference/clearTaskInstances", clear | {"reset_dag_runs": True})
    looks = box.looks(job["task_id"])
    eventually("a look after the clear", lambda: box.looks(job["task_id"]) > looks + 1)
    eventually("deferred again", lambda: states(run)[("shard.wait_for_batch", 0)] == "deferred", run.progress)
    assert box.job(job["provider_job_id"])["status"] in ("validating", "in_progress", "finalizing")

    stack.api("PATCH", f"{run.path}/taskInstances/shard.wait_for_batch/0", {"new_state": "failed"})
    eventually("cancelled", lambda: box.job(job["provider_job_id"])["status"] in ("cancelling", "cancelled"))
    assert run.wait() == "failed"


def test_a_dry_run_from_the_form_sends_nothing(stack: Stack, box: Box) -> None:
    jobs_before = len(box.ledger())
    run = start_small_run(stack, dry_run=True, rows=7)
    assert run.wait() == "success"
    plan = run.xcom("prepare_input", key="plan")
    assert (plan["records"], plan["shards"], plan["dry_run"]) == (7, 1, True)
    assert plan["estimated_usd"] > 0
    assert set(states(run).values()) == {"success", "skipped"}
    assert len(box.ledger()) == jobs_before


def test_a_run_whose_input_cannot_be_prepared_has_one_failed_task(stack: Stack) -> None:
    run = DagRun.trigger(stack, "batch_inference", {"spec": "nightly_articles"})
    assert run.wait() == "failed"
    ended = states(run)
    assert [task for (task, _), state in ended.items() if state == "failed"] == ["prepare_input"]
    assert ended["report", -1] == "skipped"


def test_a_night_started_by_hand_takes_the_named_partition_or_the_last_complete_one(stack: Stack) -> None:
    named = DagRun.trigger(stack, "nightly_batch", {"partition": "2026-01-31"})
    unnamed = DagRun.trigger(stack, "nightly_batch")
    assert (named.wait(), unnamed.wait()) == ("success", "success")
    assert "/articles/2026-01-31/" in named.xcom("prepare_input", key="spec")["input"]["uri"]
    run_after = datetime.datetime.fromisoformat(stack.api("GET", unnamed.path)["run_after"])
    night = (run_after - datetime.timedelta(hours=2)).date() - datetime.timedelta(days=1)
    assert f"/articles/{night}/" in unnamed.xcom("prepare_input", key="spec")["input"]["uri"]


def test_links_and_the_asset_event_lead_to_job_and_manifest(stack: Stack, box: Box) -> None:
    run = start_small_run(stack)
    assert run.wait() == "success"
    assert {task["rendered_map_index"] for task in run.tasks() if task["map_index"] == 0} == {"shard 0: 50 rows"}
    job = run.xcom("shard.submit_batch", map_index=0)[0]
    links = stack.api("GET", f"{run.path}/taskInstances/shard.wait_for_batch/links", params={"map_index": 0})
    assert links["extra_links"]["Provider job"] == f"{stack.sandbox_url}/v1/batches/{job['provider_job_id']}"
    page = stack.page(links["extra_links"]["Jobs"])
    assert all(told in page for told in (job["task_id"], job["provider_job_id"], "completed", "50 of 50"))
    for task, told in {"prepare_input": "input tokens", "report": run.xcom("report")["manifest"]}.items():
        (page,) = stack.api("GET", f"{run.path}/taskInstances/{task}/links")["extra_links"].values()
        assert told in stack.page(page)
    events = stack.api("GET", "/assets/events", params={"source_run_id": run.run_id})["asset_events"]
    assert [(event["name"], event["extra"]["answered"]) for event in events] == [("embed_stdlib_docs/results", 50)]
    assert events[0]["extra"]["manifest"] == run.xcom("report")["manifest"]
