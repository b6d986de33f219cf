"""A cluster without memory or disk for a run's vectors is found out before anything is sent, with the figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from tests.index.bench import FIELDS, VECTOR, Cluster, Fill, Index, articles
from tests.index.beside import Beside, behind, lead
from tests.patience import eventually
from tests.sandbox.bench import Server

Night = Callable[..., Fill]
Change = Callable[..., Beside]

LIMIT = "knn.memory.circuit_breaker.limit"
DISK = "cluster.routing.allocation.disk"
WATERMARKS = {f"{DISK}.watermark.{stage}": "900tb" for stage in ("low", "high", "flood_stage")}


@contextmanager
def settings(cluster: Cluster, **kinds: dict[str, Any]) -> Iterator[None]:
    """Of the cluster, for so long; null gives them back."""
    cluster.ok("PUT", "/_cluster/settings", kinds)
    try:
        yield
    finally:
        away = {kind: dict.fromkeys(given) for kind, given in kinds.items()}
        cluster.ok("PUT", "/_cluster/settings", away)
        if not cluster.is_sandbox:
            eventually("no block is left", lambda: _lifted(cluster))


def _lifted(cluster: Cluster) -> bool:
    """A server that looks at its disks meanwhile, as it does twice a minute, blocks its indices and all new ones. The
    looks after the test lift nothing, because the thresholds are off again.
    """
    cluster.ok("PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.create_index": None}})
    cluster.ok("PUT", "/_all/_settings?expand_wildcards=all", {"index.blocks.read_only_allow_delete": None})
    return not cluster.ok("GET", "/_cluster/state/blocks")["blocks"]


def refusal(run: Fill) -> str:
    with pytest.raises(AirflowFailException) as refused:
        run.prepare()
    return str(refused.value)


@pytest.fixture
def native(cluster: Cluster) -> Index:
    """An index whose graphs k-NN would keep in memory of its own. No test writes a vector: these servers are laid out
    without the engine's library, and the first vector ends the node.
    """
    method = {"name": "hnsw", "engine": "faiss", "space_type": "l2"}
    made = cluster.index("native", fields={**FIELDS, "vector": {**VECTOR, "method": method}})
    made.add(articles(100))
    return made


def of(run: Fill, index: Index) -> Fill:
    run.index = index
    return run


def test_graphs_above_the_limit_of_memory(cluster: Cluster, native: Index, night: Night, server: Server) -> None:
    """1.1 * (4 * 8 + 8 * 16) * 100 bytes."""
    with settings(cluster, persistent={LIMIT: "1kb"}):
        said = refusal(of(night(), native))
    assert "native: the graphs of 100 vectors × 8 (faiss, m 16, 1 copies) take about 17.2 KiB in memory" in said
    assert "k-NN may keep 1.0 KiB on 1 nodes (knn.memory.circuit_breaker.limit 1kb)" in said
    assert 'PUT _cluster/settings {"persistent": {"knn.memory.circuit_breaker.limit": "75%"}}' in said
    assert (server.ledger, server.uploads()) == ([], [])


def test_within_the_limit(native: Index, night: Night) -> None:
    assert of(night(), native).prepare() != []


def test_an_estimate_may_be_overruled(cluster: Cluster, native: Index, night: Night) -> None:
    with settings(cluster, persistent={LIMIT: "1kb"}):
        assert of(night(write_back={"when_too_large": "pass"}), native).prepare() != []


def test_lucenes_graphs_are_not_below_that_limit(cluster: Cluster, index: Index, night: Night) -> None:
    index.add(articles(100))
    with settings(cluster, persistent={LIMIT: "1kb"}):
        assert night().prepare() != []


def test_a_disk_that_is_too_small(cluster: Cluster, index: Index, night: Night, server: Server) -> None:
    index.add(articles(100))
    with settings(cluster, transient={f"{DISK}.threshold_enabled": True, **WATERMARKS}):
        said = refusal(night())
    assert "articles: 100 vectors, and their documents written again, take about" in said
    assert f"0 bytes free until {DISK}.watermark.flood_stage (900tb)" in said
    assert (server.ledger, server.uploads()) == ([], [])


def test_a_disk_that_nobody_watches_may_be_filled(cluster: Cluster, index: Index, night: Night) -> None:
    index.add(articles(100))
    with settings(cluster, transient=WATERMARKS):
        assert night().prepare() != []


def test_a_read_only_cluster(cluster: Cluster, index: Index, night: Night) -> None:
    index.add(articles(3))
    with settings(cluster, transient={"cluster.blocks.read_only": True}):
        said = refusal(night())
    assert "the cluster is read-only (cluster.blocks.read_only): PUT _cluster/settings" in said


def test_vectors_of_an_earlier_run_take_room_too(
    cluster: Cluster, index: Index, native: Index, night: Night, server: Server, tmp_path: Path
) -> None:
    reuse = {"uri": f"file://{tmp_path}/paid-for"}
    index.add(articles(100))
    night(reuse=reuse).through()
    jobs = len(server.ledger)
    run = of(night("night-2", reuse=reuse), native)
    with settings(cluster, persistent={LIMIT: "1kb"}):
        assert "native: the graphs of 100 vectors × 8" in refusal(run)
        assert of(night("night-3", reuse=reuse, write_back={"when_too_large": "pass"}), native).prepare() == []
    assert run.prepare() == []
    assert (run.plan["reused_rows"], len(server.ledger)) == (100, jobs)


def test_a_second_index_needs_disk_before_it_is_made(cluster: Cluster, aliased: Index, change: Change) -> None:
    if not cluster.is_sandbox:
        pytest.skip("a server that sees its disk above that stage lets nobody make an index for half a minute")
    run = change()
    with (
        settings(cluster, transient={f"{DISK}.threshold_enabled": True, **WATERMARKS}),
        pytest.raises(AirflowFailException, match="40 vectors, and their documents written again, take about") as said,
    ):
        run.make()
    name = re.findall(r"live-\w+", str(said.value))[0]
    assert cluster.http.head(f"/{name}").status_code == 404
    run.through()
    assert behind(cluster) == {name}


@pytest.fixture
def change_native(cluster: Cluster, native: Index, change: Change) -> Change:
    """A change of the native index's model."""
    lead(cluster, "natively", native)

    def begun(run_id: str = "change-1", **settings: object) -> Beside:
        run = change(run_id, **settings)
        run.index, run.alias = native, "natively"
        return run

    return begun


def test_a_second_index_has_graphs_beside_those_of_the_first(cluster: Cluster, change_native: Change) -> None:
    with settings(cluster, persistent={LIMIT: "1kb"}):
        with pytest.raises(AirflowFailException, match="the graphs of 100 vectors × 8 .faiss, m 16, 1 copies. take"):
            change_native().make()
        passing = change_native("change-2", write_back={"when_too_large": "pass"})
        assert passing.make()["input.uri"].startswith("opensearch://corpus/natively-")


def test_a_next_try_finds_its_index_whatever_room_is_left_by_then(cluster: Cluster, change_native: Change) -> None:
    run = change_native()
    made = run.make()
    with settings(cluster, persistent={LIMIT: "1kb"}):
        assert run.make() == made


def test_what_may_not_be_asked_for_is_not_judged(index: Index, night: Night, caplog: pytest.LogCaptureFixture) -> None:
    if not index.cluster.is_sandbox:
        pytest.skip("without the Security plugin a user may ask for everything")
    index.add(articles(3))
    refused = {"error": {"type": "security_exception", "reason": "no permissions for [cluster:monitor/nodes/stats]"}}
    order = {"fault": "answer", "path": "/_nodes/stats", "status": 403, "body": refused}
    index.cluster.ok("POST", "/_sandbox/faults", order)
    assert night().prepare() != []


@pytest.mark.parametrize(
    ("field", "words"),
    [({"data_type": "byte"}, "takes vectors of byte"), ({"data_type": "BYTE"}, "compression_level")],
)
def test_vectors_that_are_no_floats(cluster: Cluster, night: Night, field: dict[str, str], words: str) -> None:
    index = cluster.index("bytes", fields={**FIELDS, "vector": {**VECTOR, **field}})
    index.add(articles(3))
    assert words in refusal(of(night(), index))


def test_a_closed_index(cluster: Cluster, index: Index, night: Night) -> None:
    cluster.ok("POST", f"/{index.name}/_close")
    assert "articles is closed: POST articles/_open opens it" in refusal(night())


def test_a_red_index_is_tried_again(cluster: Cluster, night: Night) -> None:
    if cluster.is_sandbox:
        pytest.skip("the sandbox's shards are all there")
    nowhere = {"knn": True, "number_of_replicas": 0, "routing.allocation.require._name": "nobody"}
    cluster.names.append("red")
    cluster.ok("PUT", "/red?wait_for_active_shards=0", {"settings": nowhere, "mappings": {"properties": FIELDS}})
    with pytest.raises(Unavailable, match="red is red: no shard of it answers. GET _cluster/allocation/explain"):
        of(night(), Index(cluster, "red")).prepare()


def test_an_index_that_needs_routing(cluster: Cluster, night: Night) -> None:
    index = cluster.index("routed", _routing={"required": True})
    index.add(articles(30), routing="a way")
    assert of(night(), index).through()["written"]["written"] == 30


def test_a_data_stream_is_filled_by_its_backing_indices(cluster: Cluster, night: Night) -> None:
    """It takes nothing but new documents by its own name."""
    if cluster.is_sandbox:
        pytest.skip("the sandbox has no data streams")
    made = {"settings": {"index.knn": True, "number_of_replicas": 0}, "mappings": {"properties": FIELDS}}
    body = {"index_patterns": ["stream*"], "data_stream": {}, "template": made}
    cluster.ok("PUT", "/_index_template/stream", body)
    try:
        for name, source in articles(5).items():
            source = {**source, "@timestamp": "2026-01-01T00:00:00Z"}
            cluster.ok("PUT", f"/stream/_create/{name}?refresh=true", source)
        stream = Index(cluster, "stream")
        assert of(night(), stream).through()["written"]["written"] == 5
        assert stream.vectors == set(articles(5))
    finally:
        cluster.http.delete("/_data_stream/stream")
        cluster.http.delete("/_index_template/stream")
