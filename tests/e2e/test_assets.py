"""What comes next follows the asset, whenever its DAG came, and reads the run that the event names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stack.run import DagRun, wait_for_dag
from tests.e2e.test_runs import box, start_small_run, write_articles
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e


def read_by(stack: Stack, dag_id: str, runs: int) -> list[dict[str, int]]:
    """What each of the consumer's runs read, once there are so many and all have ended."""

    def ended() -> list[str]:
        found = stack.api("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "run_after"})["dag_runs"]
        over = [run["dag_run_id"] for run in found if run["state"] in ("success", "failed")]
        return over if len(over) == len(found) == runs else []

    run_ids = eventually(f"{runs} runs of {dag_id}", ended, DagRun(stack, dag_id, "~").progress)
    return [DagRun(stack, dag_id, run_id).xcom("read") for run_id in run_ids]


def unpause(stack: Stack, *dag_ids: str) -> None:
    for dag_id in dag_ids:
        wait_for_dag(stack, dag_id)
        stack.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})


def finished(run: DagRun) -> str:
    """Its manifest."""
    assert run.wait() == "success"
    return str(run.xcom("report")["manifest"])


def test_consumers_parsed_first_and_later_and_paused_follow_the_form(stack: Stack, box: Box) -> None:
    """The first run of each also has the events of tests before this one."""
    unpause(stack, "consumed_first")
    one = finished(start_small_run(stack))
    (first,) = read_by(stack, "consumed_first", 1)
    assert first[one] == 50
    assert stack.api("GET", "/dags/consumed_paused/dagRuns")["dag_runs"] == []

    (stack.home.data / "consumed_later").touch()
    token = stack.api("GET", "/dags/consumed_first/details")["file_token"]
    stack.api("PUT", f"/parseDagFile/{token}")
    unpause(stack, "consumed_later", "consumed_paused")
    two = finished(start_small_run(stack))
    assert read_by(stack, "consumed_first", 2) == [first, {two: 50}]
    (later,) = read_by(stack, "consumed_later", 1)
    (paused,) = read_by(stack, "consumed_paused", 1)
    assert later[two] == 50
    assert paused.items() >= {one: 50, two: 50}.items()


def test_a_consumer_with_a_uri_of_its_own_costs_no_manifest_and_gets_its_event(stack: Stack, box: Box) -> None:
    unpause(stack, "consumed_elsewhere")
    write_articles(stack, "2026-12-24", 3)
    manifest = finished(DagRun.trigger(stack, "nightly_batch", {"partition": "2026-12-24"}))
    assert read_by(stack, "consumed_elsewhere", 1)[0][manifest] == 3
