"""Repair on real Airflow processes, with the sandbox's ledger as the witness of what was sent and billed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.test_runs import box, start_small_run, states
from tests.patience import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from stack.run import DagRun
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

ROWS = 4500  # three shards of at most 2,000


def sent_since(stack: Stack, box: Box, known: set[str]) -> list[list[str]]:
    """The ids in the input file of each job that is new in the ledger, oldest first."""
    return [[line["custom_id"] for line in job] for job in requests_since(stack, box, known)]


def requests_since(stack: Stack, box: Box, known: set[str]) -> list[list[dict[str, Any]]]:
    """The input file of each job that is new in the ledger, oldest first."""
    headers = {"Authorization": "Bearer sk-sandbox-not-a-secret"}
    with httpx.Client(base_url=stack.sandbox_url, headers=headers, timeout=30) as http:
        files = [job["input_file_id"] for job in box.ledger() if job["id"] not in known]
        contents = [http.get(f"/v1/files/{file_id}/content").raise_for_status().content for file_id in files]
    return [[json.loads(line) for line in content.splitlines()] for content in contents]


def manifest_of(stack: Stack, run: DagRun) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The run's own manifest, and the ids in the files that it names, by kind."""
    uri: str = run.xcom("prepare_input", key="spec")["output"]["uri"]
    (own,) = _path(uri).glob("manifest-*.json")
    manifest = json.loads(own.read_text())
    ids: dict[str, list[str]] = {"results": [], "failures": []}
    for entry in manifest["files"]:
        ids[entry["kind"]] += [json.loads(line)["id"] for line in _path(entry["uri"]).open()]
    return manifest, ids


def _path(uri: str) -> Path:
    from pathlib import Path

    return Path(uri.removeprefix("file://"))


def clear(stack: Stack, run: DagRun, *task_ids: str) -> None:
    """With all that follows, as the UI proposes it."""
    body = {
        "dry_run": False,
        "task_ids": list(task_ids),
        "dag_run_id": run.run_id,
        "only_failed": False,
        "include_downstream": True,
        "reset_dag_runs": True,
    }
    stack.api("POST", f"/dags/{run.dag_id}/clearTaskInstances", body)
    eventually("the run goes on", lambda: stack.api("GET", run.path)["state"] in ("queued", "running"))


def test_rows_that_expired_or_were_lost_go_again_and_a_clear_sends_nothing(stack: Stack, box: Box) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order("expire", fraction=0.6)
    run = start_small_run(stack, rows=ROWS)

    assert run.wait() == "success"
    report = run.xcom("report")
    sent = sent_since(stack, box, known)
    first, again = sent[:3], sent[3:]
    rows = {row for job in first for row in job}
    assert sorted(map(len, first)) == [500, 2000, 2000]
    assert len(rows) == ROWS
    counts = {name: report[name] for name in ("records", "answered", "failed", "missing", "left")}
    assert counts == {"records": ROWS, "answered": ROWS, "failed": 0, "missing": 0, "left": 0}
    assert [len(job) for job in again] == [report["repaired"]] == [report["passing"]["batch_expired"]]
    expired = next(job for job in report["jobs"] if job["state"] == "expired")
    assert report["repaired"] == expired["records"] * 2 // 5
    manifest, landed = manifest_of(stack, run)
    assert sorted(landed["results"]) == sorted(rows), "each row once"
    assert landed["failures"] == []
    (repaired,) = [entry for entry in manifest["files"] if "-r1-" in entry["uri"]]
    assert repaired["rows"] == report["repaired"]
    assert states(run)["repair_1.fetch_output", 0] == "success"

    clear(stack, run, "prepare_input")
    assert run.wait() == "success"
    assert len(sent_since(stack, box, known)) == 4
    assert run.xcom("report") == report


def test_rows_that_failed_for_good_are_named_and_their_round_is_skipped(stack: Stack, box: Box) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order("fail_rows", count=2, code="context_length_exceeded", message="Too long.")
    run = start_small_run(stack)

    assert run.wait() == "failed"
    found = states(run)
    assert found.pop(("report", -1)) == "failed"
    repair = {task: state for (task, _), state in found.items() if "repair" in task}
    assert repair == dict.fromkeys(
        ("prepare_repair_1", "repair_1.submit_batch", "repair_1.wait_for_batch", "repair_1.fetch_output"), "skipped"
    )
    manifest, landed = manifest_of(stack, run)
    assert [len(job) for job in sent_since(stack, box, known)] == [50]
    assert (len(landed["results"]), len(landed["failures"])) == (48, 2)
    assert manifest["report"]["codes"] == {"context_length_exceeded": 2}


def test_a_round_whose_job_answers_nothing_leaves_named_rows_and_its_clear_sends_only_those(
    stack: Stack, box: Box
) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order("expire", fraction=0.5)
    run = start_small_run(stack)
    eventually("the first job", lambda: len(box.ledger()) > len(known), run.progress)
    box.order("fail_batch", code="server_error", message="The server had an error.")

    assert run.wait() == "failed"
    manifest, landed = manifest_of(stack, run)
    assert (len(landed["results"]), len(landed["failures"])) == (25, 25)
    assert manifest["report"]["codes"] == {"server_error": 25}

    clear(stack, run, "repair_1.submit_batch")
    assert run.wait() == "success"
    sent = sent_since(stack, box, known)
    assert [len(job) for job in sent] == [50, 25, 25]
    assert set(sent[2]) == set(sent[1]) == set(landed["failures"])
    assert run.xcom("report")["answered"] == 50
