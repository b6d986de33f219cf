"""Provenance in a sidecar index: the vector is all that goes into documents whose mapping is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused
from opensearch_batch.operators import PrepareInputOperator
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sinks import provenance as sinks
from opensearch_batch.sources.index_rows import read_states
from opensearch_batch.sources.sidecar import open_sidecar, refuse_another_sidecar
from tests.index.bench import DIMENSIONS, FIELDS, Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, Beside, behind
from tests.index.test_erase import erase, found_in
from tests.index.test_killed import Killed, Reaper
from tests.sandbox.bench import Server

SIDECAR = "provenance"
OWNERS = {name: found for name, found in FIELDS.items() if name != "vector_provenance"}
"""A mapping without a field of ours: dynamic is strict."""

Night = Callable[..., Fill]


@pytest.fixture
def index(cluster: Cluster) -> Index:
    cluster.names.append(SIDECAR)
    return cluster.index("articles", fields=OWNERS)


@pytest.fixture
def dark(night: Night) -> Night:
    """A night with a sidecar."""

    def begun(run_id: str = "night-1", **settings: Any) -> Fill:
        back = {"provenance_index": SIDECAR, **settings.pop("write_back", {})}
        return night(run_id, write_back=back, **settings)

    return begun


def entries(index: Index) -> dict[str, dict[str, Any]]:
    """By document."""
    hits = Index(index.cluster, SIDECAR).hits.values()
    found = {hit["_source"]["id"]: hit["_source"] for hit in hits}
    assert len(found) == len(hits)
    return found


def ended(run: Fill) -> None:
    """A run that has nothing to send."""
    assert run.prepare() == []
    with pytest.raises(AirflowSkipException):
        run.report(None)


def test_the_vector_is_all_that_is_written_into_a_document_and_once(index: Index, dark: Night, server: Server) -> None:
    index.add(articles(60))
    assert dark().through()["written"]["written"] == 60
    hits, noted, jobs = index.hits, entries(index), len(server.ledger)
    assert all(hit["_source"].keys() == {"title", "body", "vector"} for hit in hits.values())
    assert {name: entry["noted"]["seq_no"] for name, entry in noted.items()} == index.seq_nos
    for entry in noted.values():
        assert (entry["index"], entry["field"], entry["coming"]) == ("articles", "vector", None)
        assert entry["noted"]["run"] == "by_hand/night-1"
    before = Index(index.cluster, SIDECAR).seq_nos
    for run in (dark("night-2"), dark("night-3", write_back={"read": "all"})):
        ended(run)
        assert (run.plan["records"], run.plan["unchanged"]) == (0, 60)
    assert (index.hits, Index(index.cluster, SIDECAR).seq_nos) == (hits, before)
    assert len(server.ledger) == jobs


def test_unchanged_are_counted_up_to_the_last_row_that_is_taken(index: Index, dark: Night) -> None:
    index.cluster.delete(index.name)
    index.cluster.index(index.name, shards=1, fields=OWNERS)
    index.add(articles(5))
    dark().through()
    index.add({"new": {"title": "new", "body": "new"}, **{name: articles(9)[name] for name in ("a7", "a8")}})
    index.edit("a0", title="after all others")
    second = dark("night-2", input={"max_records": 1}, write_back={"read": "all"})
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"]) == (1, 4)


def test_what_the_owner_changes_and_what_he_does_not(index: Index, dark: Night) -> None:
    index.add(articles(10))
    dark().through()
    hits = index.hits
    index.edit("a0", body="another text")
    index.edit("a1", title="another title")
    index.add({"a2": articles(10)["a2"]})  # the whole document, and with that its vector goes
    index.add({"a3": {**hits["a3"]["_source"], "title": "written back whole"}})
    index.add({"a4": {**hits["a4"]["_source"], "vector": hits["a5"]["_source"]["vector"]}})
    index.remove("a6")
    second = dark("night-2")
    second.through()
    assert {name for name, entry in entries(index).items() if entry["noted"]["run"] == "by_hand/night-2"} == {
        "a0",
        "a2",
        "a4",
    }
    assert (second.plan["records"], second.plan["unchanged"]) == (3, 6), "own writes are read, and known"
    assert index.hits["a4"]["_source"]["vector"] == hits["a4"]["_source"]["vector"]
    assert index.vectors == set(index.hits)


def test_an_index_made_again_has_no_vector_that_is_noted(index: Index, dark: Night) -> None:
    """Its documents have the same ids, texts and sequence numbers."""
    index.add(articles(5))
    dark().through()
    index.cluster.delete(index.name)
    index.cluster.index(index.name, fields=OWNERS)
    index.add(articles(5))
    again = dark("night-2")
    again.through()
    assert (again.plan["records"], again.plan["unchanged"]) == (5, 0)
    assert index.vectors == set(index.hits)


def test_an_edited_and_a_deleted_document_are_left_alone(index: Index, dark: Night) -> None:
    index.add(articles(20))
    dark().through()
    for n in range(10):
        index.edit(f"a{n}", body=f"edited {n}")

    def meanwhile() -> None:
        index.edit("a0", body="edited again")
        index.remove("a1")

    written = dark("night-2").through(meanwhile)["written"]
    assert (written["written"], written["superseded"], written["deleted"]) == (8, 1, 1)
    noted = entries(index)
    assert "a1" not in noted
    assert [noted["a0"][part]["run"] for part in ("noted", "coming")] == ["by_hand/night-1", "by_hand/night-2"]
    third = dark("night-3")
    assert third.through()["written"]["written"] == 1
    assert (third.plan["records"], third.plan["unchanged"]) == (1, 8)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_run_ends_with_the_same_entries(
    index: Index, dark: Night, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "REQUEST_BYTES", 2_000)
    monkeypatch.setattr(sink, "AT_ONCE", 1)
    index.add(articles(12))
    run = dark()
    landed = run.land(run.prepare())
    with monkeypatch.context() as patched:
        reaper = Reaper(patched, moment)
        [written] = reaper.until_it_ends(lambda: run.write(landed))
    run.report(landed)
    assert reaper.kills.count("write documents") >= 5
    assert (written["written"], written["superseded"]) == (12, 0)
    hits = index.hits
    assert {name: entry["noted"]["seq_no"] for name, entry in entries(index).items()} == index.seq_nos
    assert all(entry["coming"] is None for entry in entries(index).values())
    second = dark("night-2")
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"], index.hits) == (0, 12, hits)


def test_a_run_that_was_killed_for_good_is_no_strangers_to_the_next(
    index: Index, dark: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the vectors and their entries: the next run finds which vectors are there, and sends the rest."""
    monkeypatch.setattr(sink, "REQUEST_BYTES", 2_000)
    monkeypatch.setattr(sink, "AT_ONCE", 1)
    index.add(articles(15))
    run = dark()
    landed = run.land(run.prepare())
    send = MLCommonsHook.send

    def mortal(hook: MLCommonsHook, call: Call) -> Any:
        if b'"noted"' in (call.lines or b""):
            raise Killed
        return send(hook, call)

    with monkeypatch.context() as patched:
        patched.setattr(MLCommonsHook, "send", mortal)
        with pytest.raises(Killed):
            run.write(landed)
    there = index.vectors
    assert 0 < len(there) < 15
    assert all(entry.get("noted") is None for entry in entries(index).values())
    second = dark("night-2")
    second.through()
    assert (second.plan["records"], second.plan["unchanged"]) == (15 - len(there), len(there))
    assert index.vectors == set(index.hits)


def test_another_model_and_a_strangers_vectors_are_refused(index: Index, dark: Night) -> None:
    index.add(articles(20))
    dark().through()
    other = {"name": "text-embedding-3-large"}
    with pytest.raises(AirflowFailException, match="20 documents have vectors of another model"):
        dark("night-2", model=other).prepare()
    replacing = dark("night-3", model=other, write_back={"on_model_change": "replace"})
    assert replacing.through()["written"]["written"] == 20
    index.add({"stranger": {"body": "a text", "vector": [0.5] * 8}})
    with pytest.raises(AirflowFailException, match="1 documents have vectors of another model"):
        dark("night-4", model=other).prepare()


def test_documents_of_one_id_are_told_apart(index: Index, dark: Night) -> None:
    """In two indices of an alias; one has a routing, and one the longest id."""
    cluster = index.cluster
    old = cluster.index("articles-old", fields=OWNERS)
    old.add({"a0": {"body": "an old text"}})
    index.add({"a0": {"body": "a text"}, "i" * 512: {"body": "of a long id"}})
    index.add({"a1": {"body": "of a team"}}, routing="team 1")
    add = [{"add": {"index": each.name, "alias": "both"}} for each in (index, old)]
    cluster.ok("POST", "/_aliases", {"actions": add})
    run = dark(input={"uri": "opensearch://corpus/both"})
    assert run.through()["written"]["written"] == 4
    assert sorted(entry["_source"].get("routing", "") for entry in Index(cluster, SIDECAR).hits.values())[3] == "team 1"
    second = dark("night-2", input={"uri": "opensearch://corpus/both"})
    ended(second)
    assert second.plan["unchanged"] == 4


def test_a_sidecar_that_is_gone_makes_vectors_strangers(index: Index, dark: Night) -> None:
    index.add(articles(5))
    dark().through()
    index.cluster.delete(SIDECAR)
    with pytest.raises(AirflowFailException, match="5 documents have vectors of another model"):
        dark("night-2").prepare()


def test_a_sidecar_that_is_gone_before_the_write_is_made_again(index: Index, dark: Night) -> None:
    index.add(articles(5))
    run = dark()
    landed = run.land(run.prepare())
    index.cluster.delete(SIDECAR)
    assert run.write(landed)[0]["written"] == 5
    index.cluster.delete(SIDECAR)
    assert run.write(landed)[0]["written"] == 5, "vectors that are there count, and are noted"
    run.report(landed)
    second = dark("night-2")
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"]) == (0, 5)


def test_a_closed_sidecar_is_opened_and_not_deleted(index: Index, dark: Night) -> None:
    index.add(articles(2))
    run = dark()
    landed = run.land(run.prepare())
    index.cluster.ok("POST", f"/{SIDECAR}/_close")
    with pytest.raises(AirflowFailException, match=f"POST {SIDECAR}/_open"):
        run.write(landed)


def test_a_sidecar_that_is_removed_or_made_again_meanwhile_ends_the_write(index: Index, dark: Night) -> None:
    index.add(articles(1))
    dark().through()
    send = MLCommonsHook("corpus").send
    sidecar = open_sidecar(send, SIDECAR, "vector", [*read_states(send, [index.name])])
    refuse_another_sidecar(send, sidecar)
    index.cluster.delete(SIDECAR)
    with pytest.raises(Refused, match="removed or made again"):
        refuse_another_sidecar(send, sidecar)
    index.cluster.index(SIDECAR, fields={"title": {"type": "text"}})
    with pytest.raises(Refused, match="removed or made again"):
        refuse_another_sidecar(send, sidecar)


def test_a_document_edited_after_each_of_two_killed_runs_is_no_strangers(
    index: Index, dark: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run's vector is in the document, and its entry tells of the second's only."""
    index.add(articles(1))
    first = dark()
    landed = first.land(first.prepare())
    with monkeypatch.context() as patched:
        patched.setattr(sinks.InSidecar, "after", lambda *_: None)
        first.write(landed)
    index.edit("a0", body="edited")

    def meanwhile() -> None:
        index.edit("a0", body="edited again")

    assert dark("night-2").through(meanwhile)["written"]["superseded"] == 1
    third = dark("night-3")
    assert third.through()["written"]["written"] == 1
    assert third.plan["records"] == 1


def test_a_copied_vector_is_noted_too(index: Index, dark: Night, tmp_path: Any, server: Server) -> None:
    reuse = {"uri": f"file://{tmp_path}/paid-for"}
    index.add(articles(10))
    dark(reuse=reuse).through()
    jobs = len(server.ledger)
    index.add(articles(10))
    second = dark("night-2", reuse=reuse)
    second.through()
    assert (second.plan["reused_rows"], len(server.ledger)) == (10, jobs)
    third = dark("night-3", reuse=reuse)
    third.prepare()
    assert (third.plan["records"], third.plan["unchanged"]) == (0, 10)


def test_an_index_of_another_mapping_is_no_sidecar(index: Index, dark: Night) -> None:
    index.cluster.index(SIDECAR, fields={"title": {"type": "text"}})
    index.add(articles(1))
    with pytest.raises(AirflowFailException, match=r"its mapping is another \(title\)"):
        dark().prepare()


def test_a_dry_run_makes_none(index: Index, dark: Night) -> None:
    index.add(articles(3))
    run = dark()
    dag = DAG("by_hand", schedule=None)
    run.run.execute(PrepareInputOperator(task_id="prepare_input", spec={**run.spec, "dry_run": True}, dag=dag))
    assert run.plan["records"] == 3
    assert index.cluster.http.head(f"/{SIDECAR}").status_code == 404


def test_an_erasure_takes_the_entry_and_names_the_sidecar(index: Index, dark: Night) -> None:
    cluster = index.cluster
    index.add(articles(5))
    run = dark()
    run.through()
    cluster.index("others", fields=OWNERS)
    sidecar = Index(cluster, SIDECAR)
    sidecar.add({"of another corpus": {**entries(index)["a1"], "index": "others"}})
    proof = erase(dark("night-2"), ["a1"])
    [place] = [place for place in proof["places"] if place["kind"] == "provenance index"]
    assert (proof["state"], place["at"]) == ("erased", f"opensearch://corpus/{SIDECAR}")
    assert (place["rows"], place["found"], place["left"]) == (6, 1, 0)
    left = {(hit["_source"]["index"], hit["_source"]["id"]) for hit in Index(cluster, SIDECAR).hits.values()}
    assert left == {*(("articles", name) for name in ("a0", "a2", "a3", "a4")), ("others", "a1")}


def test_an_erasure_stops_at_an_index_in_which_it_would_find_no_id(index: Index, dark: Night) -> None:
    index.add(articles(1))
    dark().through()
    index.cluster.delete(SIDECAR)
    index.cluster.index(SIDECAR, fields={"id": {"type": "text"}})
    with pytest.raises(AirflowFailException, match="its mapping is another .*ids cannot be looked for there"):
        erase(dark("night-2"), ["a0"])
    assert index.hits.keys() == {"a0"}


def test_an_erasure_names_an_index_of_others_whose_entries_it_leaves(
    index: Index, dark: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, send = index.cluster, MLCommonsHook.send
    index.add(articles(2))
    dark().through()
    Index(cluster, SIDECAR).add({"of others": {**entries(index)["a1"], "index": "secret"}})

    def refusing(hook: MLCommonsHook, call: Call) -> Any:
        if call.path == "/secret":
            raise Refused("no permissions for [indices:admin/get]", status=403)
        return send(hook, call)

    with monkeypatch.context() as patched:
        patched.setattr(MLCommonsHook, "send", refusing)
        proof = erase(dark("night-2"), ["a1"])
    assert proof["state"] == "erased"
    assert f"entries in {SIDECAR} of secret" in [each["what"] for each in proof["not_removed"]]
    assert {hit["_source"]["index"] for hit in Index(cluster, SIDECAR).hits.values()} == {"articles", "secret"}


def test_an_erasure_finds_the_entry_of_a_document_in_an_index_that_is_gone(index: Index, dark: Night) -> None:
    cluster = index.cluster
    index.add(articles(3))
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": index.name, "alias": "live"}}]})
    settings = {"input": {"uri": "opensearch://corpus/live"}}
    dark(**settings).through()
    new = cluster.index("articles-2", fields=OWNERS)
    new.add(articles(2))
    cluster.delete(index.name)
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": new.name, "alias": "live"}}]})
    dark("night-2", **settings).through()
    assert len(Index(cluster, SIDECAR).hits) == 5
    proof = erase(dark("night-3", **settings), ["a1", "a2"])
    assert found_in(proof)["provenance index"] == 3
    left = {(hit["_source"]["index"], hit["_source"]["id"]) for hit in Index(cluster, SIDECAR).hits.values()}
    assert left == {("articles", "a0"), ("articles-2", "a0")}


def test_a_sample_is_compared_whose_provenance_lies_beside(index: Index, dark: Night, server: Server) -> None:
    server.model(name="fill", dimensions=DIMENSIONS)
    index.add(articles(10))
    run = dark(parity={"sample": 20, "queries": 2})
    landed = run.land(run.prepare())
    run.write(landed)
    vector = index.hits["a5"]["_source"]["vector"]
    index.edit("a0", body="edited")
    index.edit("a1", title="another title")
    index.edit("a2", vector=vector)
    found = run.compare()
    assert (found["compared"], found["below"], found["shut"], found["recall"]) == (8, 0, "", 1.0)
    assert found["left_out"] == {"edited": 2}


def test_an_alias_moves_to_an_index_whose_provenance_lies_beside(
    cluster: Cluster, change: Callable[..., Beside], night: Night, server: Server
) -> None:
    """The old index keeps its provenance in its documents; none of that is in the new one."""
    cluster.names.append(SIDECAR)
    back = {"provenance_index": SIDECAR, "max_without_vector": 0.1}
    run = change(write_back=back)

    def edited() -> None:
        run.index.edit("a0", body="edited")
        run.index.edit("a1", title="another title")
        run.index.remove("a2")

    report = run.through(edited, lambda: run.index.edit("a3", title="edited after the carry-over"))
    assert (report["swapped"]["documents"], report["swapped"]["without_vector"]) == (39, 1)
    new = run.new_index
    assert behind(cluster) == {new.name}
    assert new.vectors == set(new.hits) - {"a0"}
    assert not any("vector_provenance" in hit["_source"] for hit in new.hits.values())
    nightly = night("night-2", input={"uri": f"opensearch://corpus/{ALIAS}"}, write_back=back)
    nightly.through()
    assert (nightly.plan["records"], nightly.plan["unchanged"]) == (1, 38)
    assert new.vectors == set(new.hits)
    run.back()
    assert behind(cluster) == {run.index.name}
    assert run.index.hits["a1"]["_source"]["title"] == "another title"
