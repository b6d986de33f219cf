"""Another model for texts in chunks: the new index gets them nested, and keeps those of texts that stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec
from tests.index.bench import DIMENSIONS, FIELDS, PROVENANCE, VECTOR, Cluster, Fill, Index
from tests.index.beside import ALIAS, Beside, behind, lead
from tests.index.chunks import CHUNK_FIELDS, CHUNKS, essay, essays
from tests.index.test_chunks import CUT, chunks_of
from tests.sandbox.bench import MODEL, Run, Server

Change = Callable[..., Beside]
OLD: dict[str, Any] = {
    "chunks": [{"text": "old", "text_hash": "of-old", "start": 0, "end": 3, "embedding": [0.5] * DIMENSIONS}],
    "chunks_provenance": {"model": "old", "text_hash": "of-old", "run": "of-old"},
}


@pytest.fixture
def aliased(cluster: Cluster) -> Index:
    """Ten essays with chunks of an old model, which the alias `live` leads to."""
    made = cluster.index("essays-old", fields=CHUNK_FIELDS)
    made.add({name: {**source, **OLD} for name, source in essays(10).items()})
    lead(cluster, ALIAS, made)
    return made


@pytest.fixture
def chunked(change: Change) -> Change:
    def begun(run_id: str = "change-1", **settings: Any) -> Beside:
        settings["input"] = {"chunks": CUT, **settings.get("input", {})}
        settings["write_back"] = {"vector_field": "chunks.embedding", **settings.get("write_back", {})}
        return change(run_id, **settings)

    return begun


def is_cut(index: Index, name: str, body: str) -> bool:
    chunks = chunks_of(index, name)
    assert {len(chunk["embedding"]) for chunk in chunks} == {DIMENSIONS}
    assert all(chunk["embedding"] != OLD["chunks"][0]["embedding"] for chunk in chunks)
    return "  ".join(chunk["text"] for chunk in chunks) == body


def test_the_alias_moves_to_an_index_with_chunks_of_the_new_model(aliased: Index, chunked: Change) -> None:
    before, run = aliased.hits, chunked()
    report = run.through()
    assert behind(aliased.cluster) == {run.new_index.name}
    written = report["written"]
    assert (report["answered"], written["written"], written["chunks"], written["incomplete"]) == (50, 10, 50, 0)
    assert (report["swapped"]["documents"], report["swapped"]["without_vector"]) == (10, 0)
    assert aliased.hits == before, "the old index is kept as it was"
    assert all(is_cut(run.new_index, name, essay(name)) for name in essays(10))
    assert {hit["_source"]["chunks_provenance"]["model"] for hit in run.new_index.hits.values()} == {MODEL}


def test_chunks_stay_where_the_text_does(aliased: Index, chunked: Change, tmp_path: Any) -> None:
    def meanwhile() -> None:
        aliased.edit("e0", body=essay("another"))
        aliased.edit("e1", title="another title")
        aliased.remove("e2")
        aliased.add({"new": {"title": "t", "body": essay("new")}})

    run = chunked(write_back={"max_without_vector": 0.5})
    report = run.through(meanwhile, lambda: aliased.edit("e3", title="a late title"))
    hits = run.new_index.hits
    assert set(hits) == set(aliased.hits)
    assert (hits["e1"]["_source"]["title"], hits["e3"]["_source"]["title"]) == ("another title", "a late title")
    assert {name for name, hit in hits.items() if "chunks" not in hit["_source"]} == {"e0", "new"}
    assert all(is_cut(run.new_index, name, essay(name)) for name in set(essays(10)) - {"e0", "e2"})
    assert report["swapped"]["without_vector"] == 2
    settings = {"input": {"uri": f"opensearch://corpus/{ALIAS}", "chunks": CUT}}
    night = Fill(
        Run(tmp_path, "night"),
        run.new_index,
        run.model_id,
        {**settings, "write_back": {"vector_field": "chunks.embedding"}},
    )
    assert night.through()["written"]["written"] == 2
    assert is_cut(run.new_index, "e0", essay("another"))


def test_documents_are_compared_with_few_chunks_in_memory(
    aliased: Index, chunked: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, read = MLCommonsHook.send, list[int]()

    def counted(hook: MLCommonsHook, call: Call) -> Any:
        if call.name == "get documents with versions":
            read.append(len((call.body or {})["docs"]))
        return send(hook, call)

    monkeypatch.setattr(MLCommonsHook, "send", counted)

    def meanwhile() -> None:
        for name in essays(10):
            aliased.edit(name, title="another")

    chunked().through(meanwhile)
    assert read == [5, 5]


def test_an_index_without_chunks_gets_them_nested(cluster: Cluster, chunked: Change, server: Server) -> None:
    plain = cluster.index("plain", fields={name: FIELDS[name] for name in ("title", "body")})
    plain.add(essays(4))
    lead(cluster, "plainly", plain)
    run = chunked()
    run.index, run.alias = plain, "plainly"
    assert run.through()["written"]["written"] == 4
    mapping = cluster.ok("GET", f"/{run.new_index.name}/_mapping")[run.new_index.name]["mappings"]["properties"]
    mapping["chunks"]["properties"]["embedding"]["method"].pop("parameters")
    assert mapping["chunks"] == CHUNKS
    assert mapping["chunks_provenance"] == PROVENANCE


def test_the_length_of_the_vectors_is_the_models_own(aliased: Index, chunked: Change) -> None:
    run = chunked(model={"parameters": {}})
    run.through()
    name = run.new_index.name
    mapping = aliased.cluster.ok("GET", f"/{name}/_mapping")[name]["mappings"]["properties"]
    found = mapping["chunks"]["properties"].pop("embedding")
    assert found["dimension"] == len(chunks_of(run.new_index, "e0")[0]["embedding"]) != DIMENSIONS
    found["method"].pop("parameters")
    assert {**found, "dimension": DIMENSIONS} == VECTOR


def test_a_field_of_somebody_elses_is_not_taken_for_chunks(cluster: Cluster, chunked: Change) -> None:
    flat = cluster.index("flat", fields={**CHUNK_FIELDS, "chunks": {"properties": CHUNKS["properties"]}})
    lead(cluster, "flatly", flat)
    run = chunked()
    run.index, run.alias = flat, "flatly"
    with pytest.raises(AirflowFailException, match="'chunks' is of type object, not nested"):
        run.make()


def test_documents_with_a_failed_chunk_keep_the_alias_where_it_is(
    aliased: Index, chunked: Change, server: Server
) -> None:
    server.fault("fail_rows", ids=["e3#2", "e3#4"])
    run = chunked(limits={"max_failed_fraction": 0.05}, write_back={"max_without_vector": 1.0})
    run.filled()
    run.carry()
    with pytest.raises(AirflowFailException, match="1 of 10 documents have no vector"):
        run.swap()
    assert behind(aliased.cluster) == {aliased.name}


def test_the_alias_goes_back_to_the_kept_chunks(aliased: Index, chunked: Change) -> None:
    run = chunked()
    run.through()
    run.new_index.edit("e1", title="edited after the swap")
    run.back()
    assert behind(aliased.cluster) == {aliased.name}
    hits = aliased.hits
    assert hits["e1"]["_source"]["title"] == "edited after the swap"
    assert all(hit["_source"]["chunks"] == OLD["chunks"] for hit in hits.values())


def test_the_dag_swaps_only_when_every_bundle_has_landed(chunked: Change) -> None:
    with DAG("chunks_beside", schedule=None) as dag:
        batch_inference(BatchSpec.check(chunked().spec))
    assert {"write_chunks", "shard.fetch_output", "repair_1.fetch_output"} <= dag.get_task(
        "carry_over"
    ).upstream_task_ids
    assert {"make_index", "shard.fetch_output"} <= dag.get_task("write_chunks").upstream_task_ids
