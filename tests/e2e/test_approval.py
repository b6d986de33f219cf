"""Somebody says yes, or no, or nothing: Airflow's own approval between the plan and what costs money."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from opensearch_batch.pages.address import PREFIX, path_of_run
from stack.run import DagRun, wait_for_dag
from stack.stack import ApiError
from tests.e2e.test_fill import FIELDS
from tests.e2e.test_runs import box, states
from tests.index.bench import Cluster, Index, articles
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e
ROWS = 12
PATH = "taskInstances/approve/-1/hitlDetails"
SENDING = ("create_connector", "register_model", "prepare_repair_1")


@pytest.fixture(autouse=True)
def rows(stack: Stack) -> None:
    folder = stack.home.data / "asking"
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"id": f"r{n}", "text": f"the text of row {n}"}) for n in range(ROWS)]
    (folder / "rows.jsonl").write_text("\n".join(lines))


@pytest.fixture
def cluster(stack: Stack) -> Iterator[Cluster]:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        yield Cluster(client, "2.19.6")


def waiting(run: DagRun) -> dict[str, Any]:
    """The question, once the run waits for the answer, and the scheduler knows that the task's process has ended: a
    task that is answered before is taken for lost, and asks again as its next try.
    """
    eventually("the question", lambda: states(run).get(("approve", -1)) == "awaiting_input", run.progress)
    log = run.stack.home.logs / "scheduler.log"
    parked = f"executor event with state success for task instance TaskInstanceKey(dag_id='{run.dag_id}', "
    parked += f"task_id='approve', run_id='{run.run_id}'"
    eventually("the end of the process", lambda: parked in log.read_text(errors="replace"))
    found: dict[str, Any] = run.stack.api("GET", f"{run.path}/{PATH}")
    return found


def answer(run: DagRun, option: str) -> None:
    run.stack.api("PATCH", f"{run.path}/{PATH}", {"chosen_options": [option], "params_input": {}})


def skipped(run: DagRun) -> set[str]:
    return {task for (task, _), state in states(run).items() if state == "skipped"}


def page(run: DagRun) -> str:
    return run.stack.page(f"{PREFIX}/{path_of_run(run.dag_id, run.run_id)}")


def rejected(run: DagRun) -> dict[str, Any]:
    """Report of a run that has ended as a success and has sent nothing."""
    assert run.wait() == "success", states(run)
    assert states(run)["approve", -1] == "success"
    assert {*SENDING, "report"} <= skipped(run)
    assert "nothing was sent, and nothing was written" in page(run)
    report: dict[str, Any] = run.xcom("report", "report")
    assert (report["answered"], report["not_sent"]) == (0, report["records"])
    return report


def test_an_approved_run_is_sent_and_asked_no_more_when_it_is_cleared(stack: Stack, box: Box) -> None:
    jobs = len(box.ledger())
    run = DagRun.trigger(stack, "asking")
    question = waiting(run)
    assert question["subject"].startswith(f"asking: send {ROWS} rows to text-embedding-3-small for about $")
    assert question["body"].count("the text of row") == 3
    assert f"- **Rows:** {ROWS} in 1 shard\n" in question["body"]
    assert len(box.ledger()) == jobs
    assert "somebody&#x27;s approval" in stack.page(f"{PREFIX}/")
    assert "not yet: see Required Actions" in page(run)
    answer(run, "Approve")
    assert run.wait() == "success", states(run)
    report = run.xcom("report")
    assert (report["answered"], report["approval"]["answer"]) == (ROWS, "approved")
    assert report["approval"]["by"]
    with pytest.raises(ApiError, match="409"):
        answer(run, "Reject")
    stack.api(
        "POST", "/dags/asking/clearTaskInstances", {"dry_run": False, "dag_run_id": run.run_id, "only_failed": False}
    )
    assert run.wait() == "success", states(run)
    assert run.xcom("approve")["answer"] == "not_asked"
    assert run.xcom("report")["answered"] == ROWS
    assert len(box.ledger()) == jobs + 1


def test_the_documents_of_a_rejected_run_are_found_by_the_next(stack: Stack, box: Box, cluster: Cluster) -> None:
    index = cluster.index("asked-articles", fields=FIELDS)
    index.add(articles(10))
    before, jobs = index.hits, len(box.ledger())
    first = DagRun.trigger(stack, "asking_index")
    waiting(first)
    answer(first, "Reject")
    assert rejected(first)["approval"]["answer"] == "rejected"
    assert {"write_reused", "shard.write_back"} <= skipped(first)
    assert (index.hits, len(box.ledger())) == (before, jobs)
    second = DagRun.trigger(stack, "asking_index")
    assert f"send {10} rows" in waiting(second)["subject"]
    answer(second, "Approve")
    assert second.wait() == "success", states(second)
    assert second.xcom("report")["written"]["written"] == 10
    third = DagRun.trigger(stack, "asking_index")
    assert third.wait() == "success", "nothing to send, so nobody is asked"
    assert "approve" in skipped(third)
    paid_for_again(stack, cluster, index)


def paid_for_again(stack: Stack, cluster: Cluster, index: Index) -> None:
    """An index made again gets the vectors of the run before, for nothing and unasked."""
    cluster.delete(index.name)
    again = cluster.index(index.name, fields=FIELDS)
    again.add(articles(10))
    run = DagRun.trigger(stack, "asking_index")
    assert run.wait() == "success", states(run)
    assert run.xcom("report")["reused"] == 10
    assert run.xcom("approve")["answer"] == "not_asked"
    assert all("embedding" in hit["_source"] for hit in again.hits.values())


def test_a_rejected_change_of_the_model_leaves_the_alias_where_it_is(stack: Stack, box: Box, cluster: Cluster) -> None:
    index = cluster.index("asked-old", fields=FIELDS)
    index.add(articles(6))
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": index.name, "alias": "asked-live"}}]})
    run = DagRun.trigger(stack, "asking_beside")
    waiting(run)
    answer(run, "Reject")
    rejected(run)
    assert {"write_reused", "carry_over", "check_parity", "swap_alias"} <= skipped(run)
    assert set(cluster.ok("GET", "/_alias/asked-live")) == {index.name}


def test_nobody_answering_in_time_is_a_rejection(stack: Stack, box: Box) -> None:
    jobs = len(box.ledger())
    run = DagRun.trigger(stack, "asking", {"hours": 0.003})
    assert rejected(run)["approval"]["answer"] == "no_answer"
    assert len(box.ledger()) == jobs
    stack.api(
        "POST", "/dags/asking/clearTaskInstances", {"dry_run": False, "dag_run_id": run.run_id, "only_failed": False}
    )
    assert rejected(run)["approval"]["answer"] == "no_answer", "a cleared run asks again"


def test_neither_a_run_below_the_limit_nor_a_dry_run_asks(stack: Stack, box: Box) -> None:
    cheap = DagRun.trigger(stack, "asking", {"above": 1000})
    assert cheap.wait() == "success", states(cheap)
    assert cheap.xcom("approve")["answer"] == "not_asked"
    assert cheap.xcom("report")["answered"] == ROWS
    dry = DagRun.trigger(stack, "asking", {"dry_run": True})
    assert dry.wait() == "success", states(dry)
    assert {"approve", *SENDING[:2], "report"} <= skipped(dry)
    with pytest.raises(ApiError, match="404"):
        stack.api("GET", f"{dry.path}/{PATH}")


def test_a_backfill_asks_for_each_of_its_runs(stack: Stack, box: Box) -> None:
    jobs = len(box.ledger())
    wait_for_dag(stack, "asking")
    stack.api("PATCH", "/dags/asking", {"is_paused": False})
    body = {
        "dag_id": "asking",
        "from_date": "2026-11-03T00:00:00Z",
        "to_date": "2026-11-04T23:00:00Z",
        "max_active_runs": 2,
        "reprocess_behavior": "none",
    }
    stack.api("POST", "/backfills", body)
    between = {"logical_date_gte": body["from_date"], "logical_date_lte": body["to_date"], "order_by": "logical_date"}

    def begun() -> list[str]:
        found = stack.api("GET", "/dags/asking/dagRuns", params=between)["dag_runs"]
        return [run["dag_run_id"] for run in found] if len(found) == 2 else []

    nights = [DagRun(stack, "asking", run_id) for run_id in eventually("the backfill", begun)]
    for night in nights:
        waiting(night)
    answer(nights[0], "Approve")
    assert nights[0].wait() == "success"
    assert states(nights[1])["approve", -1] == "awaiting_input"
    answer(nights[1], "Reject")
    rejected(nights[1])
    assert len(box.ledger()) == jobs + 1


USERS = "anna:user,otto:admin,vera:viewer"


@contextmanager
def passwords(stack: Stack) -> Iterator[dict[str, str]]:
    """Airflow's API server with users of different rights, instead of one admin for all; their passwords by name."""
    server = stack.parts["api-server"]
    usual = server.env
    core = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER"
    server.env = {**usual, f"{core}_ALL_ADMINS": "False", f"{core}_USERS": USERS}
    stack.stop_part("api-server")
    stack.start_part("api-server")
    try:
        yield json.loads((stack.home.airflow / "simple_auth_manager_passwords.json.generated").read_text())
    finally:
        server.env = usual
        stack.stop_part("api-server")
        stack.start_part("api-server")


@contextmanager
def users(stack: Stack) -> Iterator[dict[str, str]]:
    """Their tokens by name."""
    with passwords(stack) as known:
        yield {name: _token(stack, name, known[name]) for name in ("anna", "otto", "vera")}


def _token(stack: Stack, name: str, password: str) -> str:
    body = {"username": name, "password": password}
    answered = httpx.post(f"{stack.url}/auth/token", json=body, trust_env=False, timeout=60).raise_for_status()
    return str(answered.json()["access_token"])


def test_airflow_refuses_whoever_has_not_the_right_to_answer(stack: Stack, box: Box) -> None:
    """A viewer may not answer at all, and an admin not for Anna, whom the spec's limits.ask_users names."""
    run = DagRun.trigger(stack, "asking")
    waiting(run)
    body = {"chosen_options": ["Approve"], "params_input": {}}
    with users(stack) as tokens:

        def status(name: str) -> int:
            headers = {"Authorization": f"Bearer {tokens[name]}"}
            url = f"{stack.url}/api/v2{run.path}/{PATH}"
            return httpx.patch(url, json=body, headers=headers, trust_env=False, timeout=60).status_code

        assert [status(name) for name in ("vera", "otto")] == [403, 403]
        assert states(run)["approve", -1] == "awaiting_input"
        assert status("anna") == 200
        eventually("the answer", lambda: states(run)["approve", -1] == "success", run.progress)
    assert run.wait() == "success", states(run)
    assert run.xcom("report")["approval"]["by"] == "anna"
