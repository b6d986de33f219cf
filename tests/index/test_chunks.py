"""Long texts of documents as chunks: each embedded by itself, all of a document written at once, none paid twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch.fill import fill_embeddings
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sinks import chunks as chunk_sink
from tests.index.bench import DIMENSIONS, FIELDS, Cluster, Fill, Index
from tests.index.chunks import CHUNK_FIELDS, CHUNKS, essay, essays
from tests.index.test_fill import embedded
from tests.index.test_killed import Reaper, folder
from tests.sandbox.bench import MODEL, Run, Server

Chunked = Callable[..., Fill]

CUT: dict[str, Any] = {"size": 120, "overlap": 0, "unit": "characters"}


@pytest.fixture
def index(cluster: Cluster) -> Index:
    return cluster.index("essays", fields=CHUNK_FIELDS)


@pytest.fixture
def reuse(tmp_path: Path) -> dict[str, Any]:
    return {"uri": f"file://{tmp_path}/paid-for"}


@pytest.fixture
def chunked(night: Chunked) -> Chunked:
    def begun(run_id: str = "night-1", *, cut: dict[str, Any] = CUT, **settings: Any) -> Fill:
        settings["input"] = {"chunks": cut, **settings.get("input", {})}
        return night(run_id, write_back={"vector_field": "chunks.embedding"}, **settings)

    return begun


def sources(index: Index) -> dict[str, Any]:
    """All but the name of the run."""
    found = {name: hit["_source"] for name, hit in index.hits.items()}
    for source in found.values():
        source["chunks_provenance"].pop("run")
    return found


def chunks_of(index: Index, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = index.hits[name]["_source"]["chunks"]
    return found


def test_chunks_that_somebody_has_taken_away_are_made_again(index: Index, chunked: Chunked) -> None:
    """What was noted of them is still there."""
    index.add(essays(4))
    chunked().through()
    before = sources(index)
    index.edit("e1", chunks=None)
    second = chunked("night-2")
    second.through()
    assert second.plan["unchanged"] == 3
    assert sources(index) == before


def test_each_chunk_has_its_vector_its_place_and_its_hash(index: Index, chunked: Chunked, server: Server) -> None:
    index.add(essays(6))
    report = chunked().through()
    assert (report["records"], report["answered"], report["written"]["written"]) == (30, 30, 6)
    assert (report["written"]["chunks"], report["written"]["incomplete"]) == (30, 0)
    for name, hit in index.hits.items():
        body, chunks = hit["_source"]["body"], hit["_source"]["chunks"]
        assert len(chunks) == 5
        assert [body[chunk["start"] : chunk["end"]] for chunk in chunks] == [chunk["text"] for chunk in chunks]
        assert "  ".join(chunk["text"] for chunk in chunks) == body
        assert len({chunk["text_hash"] for chunk in chunks}) == 5
        assert {len(chunk["embedding"]) for chunk in chunks} == {DIMENSIONS}
        assert hit["_source"]["chunks_provenance"]["run"] == "by_hand/night-1", name


def test_chunks_tell_which_flow_of_a_run_has_written_them(index: Index, chunked: Chunked) -> None:
    index.add(essays(1))
    run = chunked()
    run.prepared_by = "essays.prepare_input"
    run.through()
    [hit] = index.hits.values()
    assert hit["_source"]["chunks_provenance"]["run"] == "by_hand/night-1/essays.prepare_input"


def test_a_second_night_sends_nothing_and_writes_nothing(index: Index, chunked: Chunked, server: Server) -> None:
    index.add(essays(5))
    chunked().through()
    before, jobs = index.seq_nos, len(server.ledger)
    second = chunked("night-2")
    assert second.prepare() == []
    assert (second.plan["records"], second.plan["unchanged"]) == (0, 5)
    with pytest.raises(AirflowSkipException, match="no rows"):
        second.report(None)
    assert (index.seq_nos, len(server.ledger)) == (before, jobs)


def test_of_an_edited_text_only_the_changed_chunk_is_sent(
    index: Index, chunked: Chunked, reuse: Any, server: Server
) -> None:
    index.add(essays(20))
    chunked(reuse=reuse).through()
    before = chunks_of(index, "e3")
    edited = essay("e3").replace("Sentence 4 of the essay", "Sentence 4 in the essay")
    index.edit("e3", body=edited)
    second = chunked("night-2", reuse=reuse)
    report = second.through()
    assert (second.plan["records"], second.plan["reused_rows"], second.plan["unchanged"]) == (1, 4, 19)
    assert [job["requests"] for job in server.ledger] == [100, 1]
    assert (report["records"], report["reused"], report["written"]["written"]) == (5, 4, 1)
    after = chunks_of(index, "e3")
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True, True]
    assert (after[2]["text"] in edited, after[2]["embedding"] != before[2]["embedding"]) == (True, True)
    assert "Sentence 4 in the essay" in after[2]["text"]


def test_other_chunks_make_all_documents_anew(index: Index, chunked: Chunked) -> None:
    index.add(essays(4))
    chunked().through()
    second = chunked("night-2", cut={**CUT, "size": 60})
    assert second.through()["written"]["written"] == 4
    assert second.plan["records"] == 40
    assert len(chunks_of(index, "e0")) == 10


def test_a_document_with_an_edited_text_is_superseded_whole(index: Index, chunked: Chunked) -> None:
    index.add(essays(10))

    def meanwhile() -> None:
        index.edit("e0", title="another")
        index.edit("e1", body=essay("e1", sentences=12))
        index.remove("e2")

    written = chunked().through(meanwhile)["written"]
    assert (written["written"], written["superseded"], written["deleted"], written["chunks"]) == (8, 1, 1, 50)
    assert set(written["named"]) == {"e1", "e2"}
    assert "chunks" not in index.hits["e1"]["_source"]
    assert (index.hits["e0"]["_source"]["title"], len(chunks_of(index, "e0"))) == ("another", 5)
    assert chunked("night-2").through()["written"]["written"] == 1


@pytest.mark.parametrize("with_reuse", [True, False])
def test_a_document_with_a_failed_chunk_is_left_alone_and_made_by_the_next_run(
    index: Index, chunked: Chunked, reuse: Any, server: Server, with_reuse: bool
) -> None:
    index.add(essays(6))
    settings = {"reuse": reuse} if with_reuse else {}
    server.fault("fail_rows", ids=["e3#2"])
    report = chunked(limits={"max_failed_fraction": 0.5}, **settings).through()
    written = report["written"]
    assert (report["failed"], written["written"], written["incomplete"], written["named"]) == (1, 5, 1, ["e3"])
    assert "chunks" not in index.hits["e3"]["_source"]
    server.no_more_faults()
    second = chunked("night-2", **settings)
    assert second.through()["written"]["written"] == 1
    assert [job["requests"] for job in server.ledger] == [30, 1 if with_reuse else 5]
    assert len(chunks_of(index, "e3")) == 5


def test_a_document_that_the_index_refuses_fails_the_run_and_no_other_document(index: Index, chunked: Chunked) -> None:
    index.add(essays(4))
    run = chunked()
    landed = run.land(run.prepare())
    path = run.run.out / next(name for name in run.run.files() if name.startswith("results-"))
    first, *rest = path.read_text().splitlines(keepends=True)
    begin, _, _ = first.partition('"embedding":')
    path.write_text("".join([f'{begin}"embedding":[0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0]}}\n', *rest]))
    [written] = run.write_chunks(landed)
    assert (written["written"], list(written["refused"].values())) == (3, [1])
    with pytest.raises(AirflowFailException, match="the index refused 1 of 4 vectors.* clear write_chunks"):
        run.report(landed)


def test_writing_again_writes_nothing(index: Index, chunked: Chunked) -> None:
    index.add(essays(10))
    run = chunked()
    landed = run.land(run.prepare())
    first = run.write_chunks(landed)
    before = index.seq_nos
    assert run.write_chunks(landed) == first
    assert index.seq_nos == before


def test_a_run_whose_chunks_are_not_in_the_index_fails(index: Index, chunked: Chunked) -> None:
    index.add(essays(2))
    run = chunked()
    landed = run.land(run.prepare())
    with pytest.raises(AirflowFailException, match="10 of 10 vectors have landed and are not in the index"):
        run.report(landed)
    run.write_chunks(landed)
    assert run.report(landed)["written"]["written"] == 2


def test_chunks_of_several_bundles_make_one_document(
    index: Index, chunked: Chunked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shard has seven chunks, and a document five."""
    monkeypatch.setattr(sink, "REQUEST_BYTES", 3_000)
    index.add(essays(12))
    run = chunked(limits={"max_requests": 7})
    report = run.through()
    assert (report["shards"], report["written"]["written"], report["written"]["chunks"]) == (9, 12, 60)
    for name in essays(12):
        assert "  ".join(chunk["text"] for chunk in chunks_of(index, name)) == essay(name)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_write_ends_with_the_same_documents(
    cluster: Cluster, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(sink, "REQUEST_BYTES", 6_000)
    monkeypatch.setattr(sink, "AT_ONCE", 1)
    model_id, settings = server.model(), {"input": {"chunks": CUT}, "write_back": {"vector_field": "chunks.embedding"}}
    undisturbed, killed = (cluster.index(name, shards=2, fields=CHUNK_FIELDS) for name in ("undisturbed", "killed"))
    for index in (undisturbed, killed):
        index.add(essays(15))
    Fill(Run(folder(tmp_path, "one"), "night"), undisturbed, model_id, settings).through()
    run = Fill(Run(folder(tmp_path, "two"), "night"), killed, model_id, settings)
    landed = run.land(run.prepare())
    with monkeypatch.context() as patched:
        writing = Reaper(patched, moment)
        [written] = writing.until_it_ends(lambda: run.write_chunks(landed))
        writing.until_it_ends(lambda: run.report(landed))
    assert writing.kills.count("write documents") >= 3
    assert (written["written"], written["superseded"], written["chunks"]) == (15, 0, 75)
    assert sources(killed) == sources(undisturbed)


def test_ids_that_hold_a_number_sign_do_not_meet(index: Index, chunked: Chunked) -> None:
    """a has a chunk a#0, and there is a document of that name."""
    names = ("a", "a#0", "a#0#0", "#", "a#")
    index.add({name: {"body": essay(str(number))} for number, name in enumerate(names)})
    report = chunked().through()
    assert (report["answered"], report["written"]["written"]) == (25, 5)
    for number, name in enumerate(names):
        assert "  ".join(chunk["text"] for chunk in chunks_of(index, name)) == essay(str(number))


def test_texts_of_every_kind(index: Index, chunked: Chunked) -> None:
    bodies = {
        "short": "one word",
        "emoji": "👩‍👩‍👧‍👦 é 漢字。 " * 30,
        "one-word": "x" * 1000,
        "lines": "\n\n".join("a line" for _ in range(100)),
        "padded": "   in the middle   ",
    }
    index.add({**{name: {"body": body} for name, body in bodies.items()}, "empty": {"body": " "}, "none": {}})
    run = chunked()
    assert run.through()["written"]["written"] == 5
    assert run.plan["empty"] == 2
    for name, body in bodies.items():
        chunks = chunks_of(index, name)
        assert [body[chunk["start"] : chunk["end"]] for chunk in chunks] == [chunk["text"] for chunk in chunks]
        assert max(len(chunk["text"]) for chunk in chunks) <= CUT["size"]
        assert (len(chunks) == 1) == (len(body) <= CUT["size"])


def test_texts_need_not_be_kept(cluster: Cluster, index: Index, chunked: Chunked) -> None:
    index.add(essays(2))
    run = chunked(cut={**CUT, "keep_text": False})
    assert run.through()["written"]["written"] == 2
    assert {frozenset(chunk) for chunk in chunks_of(index, "e0")} == {
        frozenset({"text_hash", "start", "end", "embedding"})
    }


def test_more_chunks_than_the_index_takes_in_a_document_are_a_bad_row(index: Index, chunked: Chunked) -> None:
    index.add({**essays(2), "long": {"body": essay("long", 24)}})
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.mapping.nested_objects.limit": 11})
    with pytest.raises(AirflowFailException, match="more chunks than the index takes in a document, which is 11"):
        chunked().prepare()
    run = chunked("night-2", input={"bad_rows": "skip", "max_bad_fraction": 0.5})
    report = run.through()
    assert (report["bad_rows"], report["written"]["written"]) == (1, 2)
    assert "chunks" not in index.hits["long"]["_source"]
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.mapping.nested_objects.limit": 12})
    assert chunked("night-3").through()["written"]["written"] == 1, "nobody has written it since"
    assert len(chunks_of(index, "long")) == 12


def test_an_index_that_joins_an_alias_with_the_same_bound_has_no_other_read_again(
    index: Index, chunked: Chunked
) -> None:
    def joined(each: Index) -> None:
        index.cluster.ok("PUT", f"/{each.name}/_settings", {"index.mapping.nested_objects.limit": 12})
        index.cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": each.name, "alias": "all-essays"}}]})

    alias = {"uri": "opensearch://corpus/all-essays"}
    other = index.cluster.index("essays-next", fields=CHUNK_FIELDS)
    index.add(essays(3))
    other.add({"next": {"body": essay("next")}})
    joined(index)
    chunked(input=alias).through()
    settled = chunked("night-2", input=alias)
    assert settled.prepare() == []
    with pytest.raises(AirflowSkipException):
        settled.report(None)
    joined(other)
    run = chunked("night-3", input=alias)
    assert run.through()["written"]["written"] == 1
    assert run.plan["unchanged"] == 0, "they were not read"


def test_a_document_too_large_for_a_request_is_refused_and_no_other(
    index: Index, chunked: Chunked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_sink, "MOST_BYTES", 2_500)
    index.add({**essays(2), "long": {"body": essay("long", 24)}})
    run = chunked()
    landed = run.land(run.prepare())
    [written] = run.write_chunks(landed)
    assert (written["written"], written["refused"], written["examples"][0]["id"]) == (
        2, {"document_too_large": 1}, "long"
    )  # fmt: skip


def test_without_its_fields_the_index_is_refused_with_the_line_that_makes_them(cluster: Cluster, night: Any) -> None:
    """The lines are for pasting: after them the same run goes through."""
    plain = cluster.index("plain", fields={name: FIELDS[name] for name in ("title", "body")})
    plain.add(essays(2))
    run = night(input={"chunks": CUT}, write_back={"vector_field": "chunks.embedding"})
    run.index = plain
    for lines in ("has no text, text_hash, start, end, embedding in the nested field 'chunks'", "chunks_provenance"):
        with pytest.raises(AirflowFailException, match=lines) as refused:
            run.prepare()
        path, body = re.findall(r"PUT (\S+) ({.*})", str(refused.value))[0]
        cluster.ok("PUT", f"/{path}", json.loads(body))
    assert run.through()["written"]["written"] == 2


def test_an_object_that_is_no_nested_field_is_refused(cluster: Cluster, night: Any) -> None:
    flat = cluster.index("flat", fields={**CHUNK_FIELDS, "chunks": {"properties": CHUNKS["properties"]}})
    flat.add(essays(1))
    run = night(input={"chunks": CUT}, write_back={"vector_field": "chunks.embedding"})
    run.index = flat
    with pytest.raises(AirflowFailException, match="'chunks' is of type object, not nested"):
        run.prepare()


def test_another_models_vectors_are_counted_in_chunks_too(index: Index, chunked: Chunked) -> None:
    index.add(essays(3))
    chunked().through()
    index.edit("e0", chunks_provenance={"model": None})
    with pytest.raises(AirflowFailException, match="3 documents have vectors of another model"):
        chunked("night-2", model={"name": "text-embedding-3-large"}).prepare()


def test_a_search_finds_the_document_and_the_passage(index: Index, chunked: Chunked, server: Server) -> None:
    """As docs/how-to/chunks.md asks it."""
    index.add(essays(12))
    chunked().through()
    wanted = chunks_of(index, "e7")[3]
    vector = embedded(server, wanted["text"])
    index.cluster.ok("POST", f"/{index.name}/_refresh")
    body = {
        "_source": ["title"],
        "query": {
            "nested": {
                "path": "chunks",
                "score_mode": "max",
                "query": {"knn": {"chunks.embedding": {"vector": vector, "k": 100}}},
                "inner_hits": {"_source": ["chunks.text", "chunks.start"], "size": 1},
            }
        },
    }
    best = index.cluster.ok("POST", f"/{index.name}/_search", body)["hits"]["hits"][0]
    [passage] = best["inner_hits"]["chunks"]["hits"]["hits"]
    assert (best["_id"], best["_score"]) == ("e7", pytest.approx(1.0, abs=1e-4))
    assert passage["_source"] == {"text": wanted["text"], "start": wanted["start"]}


def test_what_an_earlier_preparation_landed_is_left_out(index: Index, chunked: Chunked) -> None:
    index.add(essays(3))
    run = chunked()
    landed = run.land(run.prepare())
    index.edit("e1", body=essay("another"))
    again = run.land(run.prepare())
    [written] = run.write_chunks([landed, again])
    assert (written["written"], written["superseded"], written["chunks"]) == (3, 0, 15)
    assert "another" in chunks_of(index, "e1")[0]["text"]


def test_a_preparation_that_failed_leaves_nothing_to_write(index: Index, chunked: Chunked) -> None:
    with pytest.raises(AirflowSkipException, match="prepare_input did not succeed"):
        chunked().write_chunks(None)


def test_a_dag_with_chunks_writes_in_one_task_after_all_bundles() -> None:
    with DAG("chunking", schedule=None) as dag:
        fill_embeddings(
            "articles", "body", "chunks.embedding", model=MODEL, output_uri="file:///out",
            input={"chunks": {"size": 512, "overlap": 64}}, reuse={"uri": "file:///r"},
        )  # fmt: skip
    writer = dag.get_task("write_chunks")
    assert {"shard.fetch_output", "repair_1.fetch_output"} <= writer.upstream_task_ids
    assert "write_chunks" in dag.get_task("report").upstream_task_ids
    assert not {"shard.write_back", "write_reused"} & set(dag.task_ids)
