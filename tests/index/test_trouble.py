"""A cluster that is busy, loses answers or fails a shard, on order: the sandbox's, which is here provider and index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from opensearch_batch.errors import Throttled
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sources import index_rows
from sandbox.server import Sandbox
from tests.index.bench import Cluster, Fill, Index, articles
from tests.sandbox.bench import Run, Server

Night = Callable[..., Fill]


@pytest.fixture
def index(server: Server) -> Index:
    made = Cluster(server.http, "2.19.6").index("articles")
    made.add(articles(60))
    return made


@pytest.fixture
def night(tmp_path: Path, index: Index, server: Server) -> Fill:
    uri = "opensearch://opensearch_default/articles"
    return Fill(Run(tmp_path), index, server.model(), {"input": {"uri": uri}})


@pytest.mark.parametrize("fault", ["bulk_rejected", "bulk_items_rejected", "bulk_answer_lost"])
def test_a_busy_cluster_gets_each_vector_once(index: Index, night: Fill, server: Server, fault: str) -> None:
    landed = night.land(night.prepare())
    server.fault(fault)
    [written] = night.write(landed)
    assert (written["written"], written["superseded"], written["refused"]) == (60, 0, {})
    assert index.vectors == set(articles(60))


@pytest.mark.parametrize("fault", ["bulk_rejected", "bulk_items_rejected"])
def test_a_cluster_that_stays_busy_fails_the_task_and_the_next_try_goes_on(
    index: Index, night: Fill, server: Server, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Ten minutes of it, on a short clock. Nothing is refused for good: it all goes in once there is room."""
    monkeypatch.setattr(sink, "PATIENCE_SECONDS", 0.5)
    landed = night.land(night.prepare())
    server.fault(fault, times=-1)
    with pytest.raises(Throttled):
        night.write(landed)
    assert len(index.vectors) < 60
    server.no_more_faults()
    [written] = night.write(landed)
    assert (written["written"], written["superseded"], written["refused"]) == (60, 0, {})
    assert index.vectors == set(articles(60))
    assert night.report(landed)["written"]["written"] == 60


def test_a_node_with_a_small_heap_gets_smaller_requests(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of more than a tenth of the heap is refused however often it comes."""
    with Sandbox(tmp_path / "small", heap_bytes=60_000) as box, httpx.Client(base_url=box.url, trust_env=False) as http:
        at = urlsplit(box.url)
        made = {"conn_type": "http", "schema": "http", "host": at.hostname, "port": at.port}
        monkeypatch.setenv("AIRFLOW_CONN_CORPUS", json.dumps(made))
        index = Cluster(http, "2.19.6").index("articles")
        for begin in range(0, 60, 20):
            index.add(articles(20, begin))
        run = Fill(Run(tmp_path), index, server.model())
        landed = run.land(run.prepare())
        [written] = run.write(landed)
        assert (written["written"], written["refused"], index.vectors) == (60, {}, set(articles(60)))
        bulks = [call["status"] for call in http.get("/_sandbox/calls").json() if call["path"] == "/_bulk"][3:]
        assert bulks[0] == 429
        assert 2 <= bulks.count(200) < 20, "halves, not documents one by one"


def test_a_point_in_time_that_is_lost_costs_no_document(
    night: Fill, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_rows, "FIRST_PAGE", 7)
    server.fault("pit_lost")
    night.prepare()
    assert night.plan["records"] == 60


def test_a_shard_that_fails_costs_no_document(night: Fill, server: Server) -> None:
    """Half of the rows would look like an answer, so the search is asked for all or nothing, and asked again."""
    server.fault("shard_failed")
    night.prepare()
    assert night.plan["records"] == 60
    refused = [call for call in server.calls if call["path"] == "/_search" and call["status"] == 503]
    assert len(refused) == 1
