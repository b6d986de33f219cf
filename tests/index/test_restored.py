"""A snapshot is restored while a batch is out: over the index that was read, or beside it under the same alias. Nothing
is written over what people have now, the run says why, and a rerun mends it. On real servers: a restore is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.index_rows import read_states
from tests.index.bench import Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, Beside, behind
from tests.nodes import RELEASED, SNAPSHOTS, Nodes

Night = Callable[..., Fill]
Change = Callable[..., Beside]
Restore = Callable[..., None]
COPY = "articles-copy"
REPOSITORY = "/_snapshot/before"


@pytest.fixture(scope="module", params=[pytest.param(version, marks=pytest.mark.real) for version in RELEASED])
def documents(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[Cluster]:
    """The server that has the index, with a repository for snapshots."""
    node = nodes.running(request.param)
    with httpx.Client(base_url=node.url, trust_env=False, timeout=60) as http:
        cluster = Cluster(http, request.param)
        place: Path = node.home / SNAPSHOTS / "before"
        cluster.ok("PUT", REPOSITORY, {"type": "fs", "settings": {"location": str(place)}})
        yield cluster
        cluster.ok("DELETE", REPOSITORY)


@pytest.fixture
def snapshot(cluster: Cluster) -> Iterator[Callable[[Index], Restore]]:
    """Take a snapshot of an index; what comes back restores it, over the index or, with `name`, beside."""
    taken = f"{REPOSITORY}/one"

    def take(index: Index) -> Restore:
        wanted = {"indices": index.name, "include_global_state": False}
        cluster.ok("PUT", f"{taken}?wait_for_completion=true", wanted)

        def restore(name: str | None = None) -> None:
            renamed = {"rename_pattern": "^.+$", "rename_replacement": name} if name else {}
            if name:
                cluster.names.append(name)
            else:
                cluster.ok("POST", f"/{index.name}/_close")
            how = {"indices": index.name, "include_aliases": True, **renamed}
            cluster.ok("POST", f"{taken}/_restore?wait_for_completion=true", how)
            cluster.ok("GET", f"/_cluster/health/{name or index.name}?wait_for_status=green&timeout=60s")

        return restore

    yield take
    cluster.ok("DELETE", taken)


def state_of(index: Index) -> IndexState:
    return next(read_states(MLCommonsHook("corpus").send, [index.name]))


def bodies(index: Index) -> dict[str, str]:
    return {name: hit["_source"]["body"] for name, hit in index.hits.items()}


def test_a_restored_index_takes_no_vector_of_the_batch(
    index: Index, night: Night, snapshot: Callable[[Index], Restore]
) -> None:
    """The UUID stays, and so do the sequence numbers of documents: only the shards' histories tell."""
    index.add(articles(20))
    restore = snapshot(index)
    read, run = state_of(index), night()
    landed = run.land(run.prepare())
    restore()
    index.edit("a0", body="written after the restore")
    restored, now = state_of(index), index.seq_nos
    assert restored.uuid == read.uuid
    assert all(restored.histories[shard] != history for shard, history in read.histories.items())
    with pytest.raises(AirflowFailException, match="or restored from a snapshot.*start a new run"):
        run.write(landed)
    assert (index.vectors, index.seq_nos) == (set(), now)
    assert night("night-2").through()["written"]["written"] == 20
    assert (index.vectors, bodies(index)["a0"]) == (set(articles(20)), "written after the restore")


def test_after_a_restore_the_checkpoint_counts_no_more(
    index: Index, night: Night, snapshot: Callable[[Index], Restore]
) -> None:
    """Of an index as it was before the first night all documents lie below the checkpoint, and none has a vector."""
    index.add(articles(20))
    restore = snapshot(index)
    assert night().through()["written"]["written"] == 20
    restore()
    assert index.vectors == set()
    assert night("night-2").through()["written"]["written"] == 20
    assert index.vectors == set(articles(20))
    third = night("night-3")
    third.prepare()
    assert third.plan["records"] == 0


def test_texts_of_the_time_after_the_snapshot_give_no_vectors_to_those_before(
    index: Index, night: Night, snapshot: Callable[[Index], Restore]
) -> None:
    """The batch is of edited texts; the restore brings the old ones, under which people go on."""
    index.add(articles(20))
    restore = snapshot(index)
    for n in range(5):
        index.edit(f"a{n}", body=f"edited {n}")
    run = night()
    landed = run.land(run.prepare())
    restore()
    for n in range(5, 10):
        index.edit(f"a{n}", body=f"edited later {n}")
    with pytest.raises(AirflowFailException, match="restored from a snapshot"):
        run.write(landed)
    assert index.vectors == set()
    report = night("night-2").through()
    assert (report["written"]["written"], report["written"]["superseded"]) == (20, 0)
    assert bodies(index)["a0"] == articles(1)["a0"]["body"]
    hashes = {hit["_source"]["vector_provenance"]["text_hash"] for hit in index.hits.values()}
    again = night("night-3")
    again.prepare()
    assert (len(hashes), again.plan["records"]) == (20, 0), "each vector is of the text that the document has"


def test_a_copy_that_a_restore_puts_under_the_alias_takes_nothing_of_the_batch(
    index: Index, night: Night, snapshot: Callable[[Index], Restore]
) -> None:
    """Copies have ids, sequence numbers and terms of the documents that were read: each condition would fit."""
    cluster = index.cluster
    index.add(articles(20))
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": index.name, "alias": ALIAS}}]})
    restore, copy = snapshot(index), Index(cluster, COPY)
    live = {"uri": f"opensearch://corpus/{ALIAS}"}

    def restored() -> None:
        restore(COPY)
        assert behind(cluster) == {index.name, COPY}
        assert copy.seq_nos == index.seq_nos

    assert night(input=live).through(restored)["written"]["written"] == 20
    assert (index.vectors, copy.vectors) == (set(articles(20)), set())
    second = night("night-2", input=live)
    second.through()
    assert second.plan["records"] == 20, "the alias has both now: the copy's own documents are filled"
    assert (index.vectors, copy.vectors) == (set(articles(20)), set(articles(20)))


def test_an_alias_that_a_restore_gave_a_second_index_is_not_moved(
    aliased: Index, change: Change, snapshot: Callable[[Index], Restore]
) -> None:
    restore, cluster = snapshot(aliased), aliased.cluster
    run = change()
    landed = run.filled()
    run.carry()
    restore(COPY)
    with pytest.raises(AirflowFailException, match=f"alias live leads to {COPY}, articles-old") as refused:
        run.swap()
    assert behind(cluster) == {aliased.name, COPY}
    with pytest.raises(AirflowFailException, match="leads to 2 indices"):
        change("change-2").make()
    line = str(refused.value).partition("POST _aliases ")[2].partition(" takes")[0]
    cluster.http.post("/_aliases", content=line, headers={"Content-Type": "application/json"}).raise_for_status()
    run.swap()
    assert behind(cluster) == {run.new_index.name}
    assert run.new_index.vectors == set(aliased.hits)
    assert run.report(landed)["swapped"]["documents"] == 40


def test_documents_of_an_index_restored_meanwhile_are_not_carried_over(
    aliased: Index, change: Change, snapshot: Callable[[Index], Restore]
) -> None:
    """The new index has texts that the restored one has no more, so the alias stays, and another run begins anew."""
    restore = snapshot(aliased)
    aliased.edit("a0", body="edited after the snapshot")
    run = change()
    run.filled()
    restore()
    with pytest.raises(AirflowFailException, match="restored from a snapshot"):
        run.carry()
    assert behind(aliased.cluster) == {aliased.name}
    second = change("change-2")
    second.through()
    assert behind(aliased.cluster) == {second.new_index.name}
    assert bodies(second.new_index) == bodies(aliased)
    assert second.new_index.vectors == set(aliased.hits)
