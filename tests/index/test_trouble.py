"""A cluster that is busy, loses answers or fails a shard, on order: the sandbox's, which is here provider and index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from opensearch_batch.sources import index_rows
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
