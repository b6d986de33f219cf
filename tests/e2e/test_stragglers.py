"""A batch that would not end in time, on real Airflow processes: cancelled, and what it has left answered online."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from opensearch_batch import results
from opensearch_batch.stragglers.asking import AT_ONCE, BLOCK_ROWS
from stack.run import DagRun
from tests.e2e.test_repair import manifest_of, requests_since
from tests.e2e.test_runs import box, states
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

ROWS, LEFT, ANSWERED = 150, 120, 0.2
IDS = [f"r{n}" for n in range(ROWS)]
LABELLED, LEFT_TO_LABEL = 20, 16
CHAT = "/v1/chat/completions"
TOPICS = ["news", "sport"]
LABEL = {
    "type": "object",
    "additionalProperties": False,
    "required": ["topic"],
    "properties": {"topic": {"type": "string", "enum": TOPICS}},
}


@pytest.fixture(autouse=True)
def rows(stack: Stack) -> None:
    folder = stack.home.data / "finishing"
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"id": each, "text": f"the text of row {each}"}) for each in IDS]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "label.json").write_text(json.dumps(LABEL))


def online(stack: Stack, path: str) -> list[Any]:
    """What the provider was asked online there."""
    calls = httpx.get(f"{stack.sandbox_url}/_sandbox/calls", timeout=30).raise_for_status().json()
    return [call["body"] for call in calls if call["path"] == path]


def asked_online(stack: Stack) -> int:
    return len(online(stack, "/v1/embeddings"))


def late(stack: Stack, box: Box, dag_id: str) -> DagRun:
    """A run whose batch is being cancelled with a fifth of its rows answered."""
    jobs = {job["id"] for job in box.ledger()}
    box.pace("clock:36000")
    box.order("cancel", fraction=ANSWERED)
    run = DagRun.trigger(stack, dag_id)

    def status() -> list[str]:
        return [job["status"] for job in box.ledger() if job["id"] not in jobs]

    eventually("the cancelled batch", lambda: status() == ["cancelling"], run.progress)
    return run


def kill(stack: Stack, run: DagRun, task_id: str) -> None:
    """The task's own process, which bears its id as its title."""
    (task,) = [task for task in run.tasks() if task["task_id"] == task_id]
    below = psutil.Process(stack.parts["scheduler"].pid).children(recursive=True)
    workers = [worker for worker in below if worker.status() != psutil.STATUS_ZOMBIE]
    (process,) = [worker for worker in workers if not worker.children() and task["id"] in " ".join(worker.cmdline())]
    process.kill()


def test_what_a_late_batch_has_left_is_answered_online_and_a_kill_pays_for_one_block_again(
    stack: Stack, box: Box
) -> None:
    before = asked_online(stack)
    run = late(stack, box, "finishing")
    assert states(run)["shard.wait_for_batch", 0] in ("deferred", "running", "scheduled", "queued")
    box.pace("instant")
    kept = stack.home.data / "work"

    def moving() -> list[object]:
        return [asked_online(stack), *run.progress()]

    eventually("a kept block", lambda: asked_online(stack) - before > BLOCK_ROWS + AT_ONCE, moving)
    assert len([*kept.rglob("online-*.jsonl")]) == 2, "the first three rows, and fifty more"
    kill(stack, run, "answer_stragglers")

    assert run.wait() == "success", states(run)
    paid = asked_online(stack) - before
    assert LEFT < paid <= LEFT + BLOCK_ROWS
    assert states(run)["prepare_repair_1", -1] == "skipped"
    assert next(task["try_number"] for task in run.tasks() if task["task_id"] == "answer_stragglers") == 2
    report = run.xcom("report")
    assert (report["records"], report["answered"], report["failed"], report["missing"]) == (ROWS, ROWS, 0, 0)
    assert [(job["state"], job["records"]) for job in report["jobs"]] == [("cancelled", ROWS)]
    found = report["stragglers"]
    assert (found["rows"], found["answered"], found["why_not"]) == (LEFT, LEFT, "")
    assert found["usd"] / found["tokens"] == pytest.approx(2 * report["actual_usd"] / report["actual_tokens"])
    _, landed = manifest_of(stack, run)
    assert sorted(landed["results"]) == sorted(IDS), "each row once"
    assert landed["failures"] == []

    body = {"dry_run": False, "dag_run_id": run.run_id, "only_failed": False, "task_ids": ["answer_stragglers"]}
    stack.api("POST", f"/dags/{run.dag_id}/clearTaskInstances", {**body, "include_downstream": True})
    eventually("the run goes on", lambda: run.state() in ("queued", "running"))
    assert run.wait() == "success", states(run)
    assert asked_online(stack) - before == paid, "a clear asks nothing"
    assert run.xcom("report")["results"] == report["results"]


def test_labels_that_a_late_batch_has_left_are_asked_online_as_the_batch_has_asked(stack: Stack, box: Box) -> None:
    known, before = {job["id"] for job in box.ledger()}, online(stack, CHAT)
    run = late(stack, box, "finishing_labels")
    box.pace("instant")
    assert run.wait() == "success", states(run)

    report = run.xcom("report")
    assert (report["records"], report["answered"], report["failed"]) == (LABELLED, LABELLED, 0)
    assert (report["stragglers"]["rows"], report["stragglers"]["answered"]) == (LEFT_TO_LABEL, LEFT_TO_LABEL)
    _, landed = manifest_of(stack, run)
    assert sorted(landed["results"]) == sorted(IDS[:LABELLED]), "each row once"
    assert {row["output"]["topic"] for row in results.open(report["manifest"])} <= set(TOPICS)

    (batch,) = requests_since(stack, box, known)
    bodies, asked = [line["body"] for line in batch], online(stack, CHAT)[len(before) :]
    assert len({json.dumps(body) for body in asked}) == len(asked) == LEFT_TO_LABEL, "no row twice"
    assert [body for body in asked if body not in bodies] == [], "system prompt and schema as in the batch"
    assert all("response_format" in body for body in bodies)
