"""What a real Airflow tells of a run: metrics from workers and triggerer, lineage from its provider's listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from stack.run import DagRun
from tests.e2e.test_fill import FIELDS
from tests.e2e.test_runs import box
from tests.index.bench import Cluster, articles
from tests.patience import eventually
from tests.sandbox.bench import KEY
from tests.sandbox.lineage import in_short

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.observing import Observer
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e
DAG, ROWS = "observed", 40
MODEL = "openai text-embedding-3-small MODEL"
JOBS = f"openai batches/{DAG}/text-embedding-3-small JOB_OUTPUT/TEMPORARY"


def sides(event: dict[str, Any]) -> tuple[list[str], list[str]]:
    return [in_short(each) for each in event["inputs"]], [in_short(each) for each in event["outputs"]]


def test_what_is_told_of_a_run(stack: Stack, box: Box, observer: Observer) -> None:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        documents = articles(ROWS)
        Cluster(client, "2.19.6").index("observed-articles", fields=FIELDS).add(documents)
        box.pace("polls:3")
        run = DagRun.trigger(stack, DAG)
        assert run.wait() == "success"
    report = run.xcom("report")
    assert report["written"]["written"] == ROWS
    _metrics_are_those_of_the_report(observer, report)
    _lineage_leads_from_the_index_and_back(stack, observer)
    told = observer.lineage.read_text()
    assert [text for text in (KEY, *(each["body"] for each in documents.values())) if text in told] == []


def _metrics_are_those_of_the_report(observer: Observer, report: dict[str, Any]) -> None:
    [rows] = [each for each in observer.told if each.name == "rows" and each.tags["dag_id"] == DAG]
    assert (rows.tags["outcome"], rows.value) == ("answered", ROWS)
    assert observer.values("jobs", DAG) == [len(report["jobs"])] == [2]
    assert observer.values("tokens", DAG) == [report["actual_tokens"]]
    assert observer.values("documents", DAG) == [ROWS]
    assert len(observer.values("wait", DAG)) == len(observer.values("landing", DAG)) == 2
    in_flight = eventually("no job is in flight", lambda: _ended(observer))
    assert 0 < max(in_flight) <= 2


def _ended(observer: Observer) -> list[float]:
    found = observer.values("jobs_in_flight", DAG)
    return found if found and found[-1] == 0 else []


def _lineage_leads_from_the_index_and_back(stack: Stack, observer: Observer) -> None:
    index = f"opensearch://{stack.sandbox_url.removeprefix('http://')} observed-articles"
    out = f"file {stack.home.data}/observed"
    by_task: dict[str, list[tuple[list[str], list[str]]]] = {}
    for event in observer.events(DAG):
        by_task.setdefault(event["job"]["name"].removeprefix(f"{DAG}."), []).append(sides(event))
    assert sorted(by_task["shard.submit_batch"]) == [
        ([f"{index} 15 rows", MODEL], [f"{JOBS} 15 rows"]),
        ([f"{index} 25 rows", MODEL], [f"{JOBS} 25 rows"]),
    ]
    assert sorted(by_task["shard.fetch_output"]) == [
        ([f"{JOBS} 15 rows", MODEL], [f"{out} 15 rows 1 files"]),
        ([f"{JOBS} 25 rows", MODEL], [f"{out} 25 rows 1 files"]),
    ]
    assert sorted(by_task["shard.write_back"]) == [
        ([f"{out} 15 rows", MODEL], [f"{index} 15 rows"]),
        ([f"{out} 25 rows", MODEL], [f"{index} 25 rows"]),
    ]
    assert by_task["report"] == [([f"{index} 40 rows", MODEL], [f"{out} 40 rows 2 files", f"{index} 40 rows"])]
