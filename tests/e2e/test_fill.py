"""The nightly DAG over an index, by its schedule and in a backfill: a first night fills it, the next finds nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from stack.run import DagRun, wait_for_dag
from tests.e2e.test_runs import states
from tests.index.bench import Cluster, articles
from tests.index.chunks import CHUNK_FIELDS, essay, essays
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack

pytestmark = pytest.mark.e2e
DAG = "fill_embeddings"
DIMENSIONS = 256
KEYWORD = {"type": "keyword"}
FIELDS = {
    "title": {"type": "text"},
    "body": {"type": "text"},
    "embedding": {"type": "knn_vector", "dimension": DIMENSIONS, "space_type": "cosinesimil"},
    "embedding_provenance": {"properties": {"model": KEYWORD, "text_hash": KEYWORD, "run": KEYWORD}},
}


def test_the_schedule_fills_the_index(stack: Stack) -> None:
    """Nobody triggers it: the scheduler makes the run of the last night as soon as the DAG is no longer paused."""
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        cluster = Cluster(client, "2.19.6")
        index = cluster.index("articles", fields=FIELDS)
        index.add(articles(40))
        wait_for_dag(stack, DAG)
        stack.api("PATCH", f"/dags/{DAG}", {"is_paused": False})
        try:
            made = eventually("the schedule's run", lambda: _scheduled(stack), DagRun(stack, DAG, "~").progress)
        finally:
            stack.api("PATCH", f"/dags/{DAG}", {"is_paused": True})
        run = DagRun(stack, DAG, made["dag_run_id"])
        assert made["state"] == "success", states(run)
        begin, end = (datetime.fromisoformat(made[f"data_interval_{edge}"]) for edge in ("start", "end"))
        assert (end - begin, end.hour) == (timedelta(days=1), 3)
        report = run.xcom("report")
        assert (report["written"]["written"], report["parity"]["compared"], report["parity"]["below"]) == (40, 40, 0)
        assert {len(hit["_source"]["embedding"]) for hit in index.hits.values()} == {DIMENSIONS}
        cluster.delete(index.name)


def _scheduled(stack: Stack) -> dict[str, Any]:
    """The run that the scheduler has made, once it has ended."""
    runs = stack.api("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]
    ended = [run for run in runs if run["run_type"] == "scheduled" and run["state"] in ("success", "failed")]
    return ended[0] if ended else {}


def test_a_backfill_fills_the_index_once(stack: Stack) -> None:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        index = Cluster(client, "2.19.6").index("articles", fields=FIELDS)
        index.add(articles(40))
        wait_for_dag(stack, DAG)
        stack.api("PATCH", f"/dags/{DAG}", {"is_paused": False})
        body = {
            "dag_id": DAG,
            "from_date": "2026-11-03T00:00:00Z",
            "to_date": "2026-11-04T23:00:00Z",
            "max_active_runs": 1,
            "reprocess_behavior": "none",
        }
        stack.api("POST", "/backfills", body)
        nights = [DagRun(stack, DAG, run["dag_run_id"]) for run in _both(stack, body)]
        plans = [run.xcom("prepare_input", "plan") for run in nights]
        assert [(plan["records"], plan["unchanged"]) for plan in plans] == [(40, 0), (0, 40)]
        assert states(nights[0])["shard.write_back", 0] == "success"
        assert nights[0].xcom("report")["written"]["written"] == 40
        assert {len(hit["_source"]["embedding"]) for hit in index.hits.values()} == {DIMENSIONS}


def test_an_index_made_again_is_filled_without_a_second_bill(stack: Stack) -> None:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        cluster = Cluster(client, "2.19.6")
        reports = []
        for _ in range(2):
            index = cluster.index("reused-articles", fields=FIELDS)
            index.add(articles(20))
            run = DagRun.trigger(stack, "reusing")
            eventually("the run", lambda run=run: run.state() in ("success", "failed"), run.progress)  # type: ignore[misc]
            assert run.state() == "success", states(run)
            reports.append(run.xcom("report"))
            assert all("embedding" in hit["_source"] for hit in index.hits.values())
            cluster.delete(index.name)
        assert [(report["answered"], report.get("reused", 0), len(report["jobs"])) for report in reports] == [
            (20, 0, 1),
            (20, 20, 0),
        ]
        assert states(run)["write_reused", -1] == "success"
        assert states(run)["create_connector", -1] == "skipped"


def test_vectors_are_compared_also_in_a_night_without_changes(stack: Stack) -> None:
    """Then nothing but the model can have changed; a vector that somebody has changed fails the night."""
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        index = Cluster(client, "2.19.6").index("compared-articles", fields=FIELDS)
        index.add(articles(10))
        first, second = _ran(stack, "compared"), _ran(stack, "compared")
        assert first.state() == "success", states(first)
        assert first.xcom("report")["parity"]["compared"] == 10
        extra = _events(stack, first)
        assert (extra["parity"]["compared"], extra["parity"]["below"]) == (10, 0)
        assert states(second)["create_connector", -1] == "skipped"
        assert states(second)["check_parity", -1] == "success"
        assert second.xcom("check_parity", "parity")["compared"] == 10
        index.edit("a3", embedding=[-number for number in index.hits["a3"]["_source"]["embedding"]])
        third = _ran(stack, "compared")
        assert (states(third)["check_parity", -1], third.state()) == ("failed", "failed")
        assert third.xcom("check_parity", "parity")["named"] == ["a3"]


def test_documents_are_written_once_all_of_their_chunks_have_come(stack: Stack) -> None:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        index = Cluster(client, "2.19.6").index("essays", fields=CHUNK_FIELDS)
        index.add(essays(8))
        reports = []
        for edit in (False, True):
            if edit:
                index.edit("e3", body=f"{essay('e3')} This sentence is at the end and it is new.")
            run = DagRun.trigger(stack, "chunking")
            eventually("the run", lambda run=run: run.state() in ("success", "failed"), run.progress)  # type: ignore[misc]
            assert run.state() == "success", states(run)
            assert states(run)["write_chunks", -1] == "success"
            reports.append(run.xcom("report"))
        first, second = reports
        assert (len(first["jobs"]), first["records"], first["written"]["written"]) == (3, 40, 8)
        assert (second["records"], second["reused"], second["written"]["written"]) == (6, 5, 1)
        assert len(index.hits["e3"]["_source"]["chunks"]) == 6
        run = DagRun.trigger(stack, "chunking")
        eventually("the run", lambda: run.state() in ("success", "failed"), run.progress)
        assert states(run)["write_chunks", -1] == "skipped"


def _ran(stack: Stack, dag_id: str) -> DagRun:
    run = DagRun.trigger(stack, dag_id)
    eventually("the run", lambda: run.state() in ("success", "failed"), run.progress)
    return run


def _events(stack: Stack, run: DagRun) -> dict[str, Any]:
    """Extra of the asset event that the run emitted."""
    (event,) = stack.api("GET", "/assets/events", params={"source_run_id": run.run_id})["asset_events"]
    extra: dict[str, Any] = event["extra"]
    return extra


def _both(stack: Stack, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of the backfill once they have ended, the earlier night first."""
    between = {"logical_date_gte": body["from_date"], "logical_date_lte": body["to_date"]}

    def ended() -> list[dict[str, Any]]:
        found = stack.api("GET", f"/dags/{DAG}/dagRuns", params=between)["dag_runs"]
        over = [run for run in found if run["state"] in ("success", "failed")]
        return over if len(over) == 2 else []

    runs = eventually("the backfill", ended, DagRun(stack, DAG, "~").progress)
    assert {run["state"] for run in runs} == {"success"}
    return sorted(runs, key=lambda run: str(run["logical_date"]))
