"""While a batch is out, documents are edited and deleted, indices are made again: no old vector lands on new text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from opensearch_batch.cluster import hook as hooks
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import WriteBackOperator
from tests.index.bench import FIELDS, VECTOR, Fill, Index, articles

Night = Callable[..., Fill]


def test_an_edited_and_a_deleted_document_are_left_alone_and_named(index: Index, night: Night) -> None:
    index.add(articles(100))

    def meanwhile() -> None:
        for n in range(5):
            index.edit(f"a{n}", body=f"edited {n}")
        index.remove("a5")

    written = night().through(meanwhile)["written"]
    assert (written["written"], written["superseded"], written["deleted"]) == (94, 5, 1)
    assert set(written["named"]) == {"a0", "a1", "a2", "a3", "a4", "a5"}
    assert index.vectors == set(articles(94, begin=6))
    assert "a5" not in index.hits
    second = night("night-2")
    assert second.through()["written"]["written"] == 5
    assert second.plan["records"] == 5
    assert index.vectors == set(index.hits)


def test_an_edit_of_another_field_leaves_the_text_as_it_was_sent(index: Index, night: Night) -> None:
    """The vector goes over the edit, which stays."""
    index.add(articles(3))
    written = night().through(lambda: index.edit("a1", title="another"))["written"]
    assert (written["written"], written["superseded"]) == (3, 0)
    assert index.hits["a1"]["_source"]["title"] == "another"
    assert index.vectors == set(articles(3))


def test_writing_again_writes_nothing(index: Index, night: Night) -> None:
    index.add(articles(50))
    run = night()
    landed = run.land(run.prepare())
    first = run.write(landed)
    before = index.seq_nos
    assert run.write(landed) == first
    assert index.seq_nos == before


def test_an_index_made_again_takes_no_vector(index: Index, night: Night) -> None:
    """Its sequence numbers count from 0 again: each condition would fit."""
    index.add(articles(20))
    run = night()
    landed = run.land(run.prepare())
    index.cluster.delete(index.name)
    index.cluster.index(index.name)
    index.add({name: {"body": "a new text"} for name in articles(20)})
    with pytest.raises(AirflowFailException, match="another index than was read"):
        run.write(landed)
    assert index.vectors == set()


def test_an_index_that_was_restored_takes_no_vector(index: Index, night: Night) -> None:
    """A restore leaves the index its UUID and changes the history of each shard, as is done here to the plan."""
    index.add(articles(20))
    run = night()
    landed = run.land(run.prepare())
    for histories in (state["histories"] for state in run.plan["indices"]):
        histories["0"] = "the history before the restore"
    with pytest.raises(AirflowFailException, match="or restored from a snapshot"):
        run.write(landed)
    assert index.vectors == set()


def test_an_index_closed_meanwhile_is_filled_once_it_is_open(index: Index, night: Night) -> None:
    index.add(articles(20))
    run = night()
    landed = run.land(run.prepare())
    index.cluster.ok("POST", f"/{index.name}/_close")
    with pytest.raises(AirflowFailException, match="articles is closed: POST articles/_open opens it"):
        run.write(landed)
    index.cluster.ok("POST", f"/{index.name}/_open?wait_for_active_shards=1")
    assert run.write(landed)[0]["written"] == 20
    assert index.vectors == set(articles(20))


def test_an_index_that_is_gone_stays_gone(index: Index, night: Night) -> None:
    index.add(articles(20))
    run = night()
    landed = run.land(run.prepare())
    index.cluster.delete(index.name)
    with pytest.raises(AirflowFailException, match="was deleted since it was read"):
        run.write(landed)
    assert index.cluster.http.head(f"/{index.name}").status_code == 404


def test_an_alias_that_moved_meanwhile_is_not_followed(index: Index, night: Night) -> None:
    """Read by the alias, reindexed, edited in the new index, alias moved: the vectors go to the index that was read."""
    cluster = index.cluster
    index.add(articles(20))
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": index.name, "alias": "live"}}]})
    new = cluster.index("articles-2")

    def swapped() -> None:
        new.add({name: {"body": "rewritten"} for name in articles(20)})
        moved = [{"remove": {"index": index.name, "alias": "live"}}, {"add": {"index": new.name, "alias": "live"}}]
        cluster.ok("POST", "/_aliases", {"actions": moved})

    report = night(input={"uri": "opensearch://corpus/live"}).through(swapped)
    assert report["written"]["written"] == 20
    assert (len(index.vectors), new.vectors) == (20, set())


def test_an_alias_with_a_write_index_is_filled_where_its_documents_are(index: Index, night: Night) -> None:
    """By the alias all writes would go into the write index."""
    cluster = index.cluster
    older = cluster.index("articles-older", shards=1)
    older.add(articles(10))
    index.add(articles(10, begin=10))
    add = [{"index": older.name, "alias": "live"}, {"index": index.name, "alias": "live", "is_write_index": True}]
    cluster.ok("POST", "/_aliases", {"actions": [{"add": each} for each in add]})
    assert night(input={"uri": "opensearch://corpus/live"}).through()["written"]["written"] == 20
    assert (older.vectors, index.vectors) == (set(articles(10)), set(articles(10, begin=10)))


def test_a_lost_answer_costs_nothing(index: Index, night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writes were done: their conditions no longer hold, and the hash tells that they are ours."""
    index.add(articles(20))
    run = night()
    landed = run.land(run.prepare())
    send = hooks.MLCommonsHook.send
    lost: list[Call] = []

    def losing(self: hooks.MLCommonsHook, call: Call) -> Any:
        answer = send(self, call)
        if call.lines is not None and not lost:
            lost.append(call)
            raise Unavailable("write documents: no answer from the cluster")
        return answer

    monkeypatch.setattr(hooks.MLCommonsHook, "send", losing)
    [written] = run.write(landed)
    assert (written["written"], written["superseded"], len(lost)) == (20, 0, 1)


def test_a_vector_that_the_index_refuses_fails_the_run_and_no_other_vector(index: Index, night: Night) -> None:
    """A zero vector has no direction: an index with cosine takes none."""
    index.add(articles(10))
    run = night()
    landed = run.land(run.prepare())
    path = run.run.out / next(name for name in run.run.files() if name.startswith("results-"))
    first, *rest = path.read_text().splitlines(keepends=True)
    begin, _, _ = first.partition('"embedding":')
    path.write_text("".join([f'{begin}"embedding":[0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]}}\n', *rest]))
    [written] = run.write(landed)
    assert (written["written"], list(written["refused"].values())) == (9, [1])
    assert "zero vector is not supported when space type is [cosinesimil]" in written["examples"][0]["message"]
    with pytest.raises(AirflowFailException, match="the index refused 1 of 10 vectors"):
        run.report(landed)


def test_a_line_that_refuses_the_whole_request_is_named_and_the_others_are_written(index: Index, night: Night) -> None:
    """An id of more than 512 bytes: the server does nothing of the request. No document has one; a file may."""
    index.add(articles(10))
    run = night()
    landed = run.land(run.prepare())
    path = run.run.out / next(name for name in run.run.files() if name.startswith("results-"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[4]["_document"]["id"] = "i" * 513
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    [written] = run.write(landed)
    assert (written["written"], written["refused"]) == (9, {"request_refused": 1})
    assert written["examples"][0]["id"] == "i" * 513
    assert "is too long" in written["examples"][0]["message"]


def test_a_blocked_index_says_what_lifts_the_block(index: Index, night: Night) -> None:
    index.add(articles(5))
    run = night()
    landed = run.land(run.prepare())
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.blocks.write": True})
    with pytest.raises(AirflowException, match="Lift the block"):
        run.write(landed)
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.blocks.write": None})
    assert run.write(landed)[0]["written"] == 5


def test_a_report_without_all_vectors_in_the_index_fails(index: Index, night: Night) -> None:
    index.add(articles(5))
    run = night()
    landed = run.land(run.prepare())
    with pytest.raises(AirflowFailException, match="5 of 5 vectors have landed and are not in the index"):
        run.report(landed)
    run.write(landed)
    assert run.report(landed)["written"]["written"] == 5


def test_a_vector_field_inside_an_object(index: Index, night: Night) -> None:
    cluster = index.cluster
    inner = cluster.index("nested-fields", fields={**FIELDS, "ml": {"properties": {"vector": VECTOR}}})
    inner.add(articles(5))
    run = night(write_back={"vector_field": "ml.vector", "provenance_field": "vector_provenance"})
    run.index = inner
    assert run.through()["written"]["written"] == 5
    assert all(len(hit["_source"]["ml"]["vector"]) == 8 for hit in inner.hits.values())


def test_behind_a_fetch_that_was_marked_successful_nothing_is_skipped(index: Index, night: Night) -> None:
    """Where no fetch is to give results the task writes vectors of earlier runs, and is skipped without them."""
    index.add(articles(3))
    run = night()
    write = WriteBackOperator(task_id="write_back", spec=run.spec, landed=run.land(run.prepare()), plan=run.plan)
    write.landed = None
    with pytest.raises(AirflowFailException, match="gave no results: .*marked successful by hand. Clear it"):
        run.run.execute(write)
