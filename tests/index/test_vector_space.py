"""Engines and spaces: what is refused before a run is what the server refuses, and the rest the server makes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.prepare.vector_space import LONGEST, SPACES, refusals, space_of
from tests.index.bench import DIMENSIONS, FIELDS, VECTOR, Cluster, Fill, Index, articles
from tests.index.beside import Beside
from tests.sandbox.bench import MODEL, Server

Night = Callable[..., Fill]
Change = Callable[..., Beside]
ALL_SPACES = [*SPACES["nmslib"], "hamming", "nonsense"]
LINE = "write_back.method: "


def field(dimension: int = DIMENSIONS, **method: Any) -> dict[str, Any]:
    return {"type": "knn_vector", "dimension": dimension, "method": {"name": "hnsw", **method}}


def of_space(space: str) -> dict[str, Any]:
    """Fields of an index whose vectors are compared so."""
    return {**FIELDS, "vector": field(engine="lucene", space_type=space)}


ASKED = {
    **{f"{engine} {space}": field(engine=engine, space_type=space) for engine in SPACES for space in ALL_SPACES},
    **{f"{engine} {length}": field(length, engine=engine) for engine in SPACES for length in (LONGEST, LONGEST + 1)},
    **{f"{space} of the default engine": field(space_type=space) for space in ALL_SPACES},
    "no engine": field(engine="annoy"),
    "ivf": {**field(), "method": {"name": "ivf", "engine": "faiss"}},
    "pq": field(engine="faiss", parameters={"encoder": {"name": "pq", "parameters": {"m": 2}}}),
    "the default": {"type": "knn_vector", "dimension": DIMENSIONS},
    "the default, too long": {"type": "knn_vector", "dimension": LONGEST + 1},
    "of another case": field(engine="Lucene", space_type="L2"),
}


def takes(cluster: Cluster, vector: dict[str, Any]) -> bool:
    body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": {"vector": vector}}}
    answer = cluster.http.put("/tried", json=body)
    cluster.delete("tried")
    assert answer.status_code in (200, 400), answer.text
    return answer.status_code == 200


def test_the_server_refuses_what_we_refuse_and_makes_the_rest(cluster: Cluster) -> None:
    version = int(cluster.version.partition(".")[0])
    judged = {name: not [*refusals("v", vector, version)] for name, vector in ASKED.items()}
    assert judged == {name: takes(cluster, vector) for name, vector in ASKED.items()}
    assert {True, False} == set(judged.values())


def refused(run: Beside) -> str:
    with pytest.raises(AirflowFailException) as error:
        run.make()
    return str(error.value)


def pasted(said: str) -> dict[str, Any]:
    """The method of the line in a refusal."""
    method: dict[str, Any] = json.loads(said.partition(LINE)[2].removesuffix("."))
    return method


NMSLIB = {"name": "hnsw", "engine": "nmslib", "space_type": "l2"}
OF_THE_MODEL = {"name": MODEL, "parameters": {}}
"""A spec that leaves the length to the model."""


@pytest.mark.parametrize("model", [{}, OF_THE_MODEL], ids=["length known", "length of the model's own"])
def test_an_engine_that_this_version_makes_no_more_is_refused_before_anything_is_sent(
    cluster: Cluster, change: Change, server: Server, model: dict[str, Any]
) -> None:
    run = change(write_back={"method": NMSLIB}, model=model)
    if cluster.version.startswith("2."):
        run.make()
        return
    said = refused(run)
    assert "nmslib" in said
    assert server.ledger == []
    mended = change(write_back={"method": pasted(said)}, model=model)
    mended.through()
    assert len(mended.new_index.vectors) == 40


@pytest.mark.parametrize("model", [{}, OF_THE_MODEL], ids=["length known", "length of the model's own"])
def test_a_space_that_the_engine_does_not_have_is_refused_before_an_index_is_made(
    cluster: Cluster, change: Change, model: dict[str, Any]
) -> None:
    run = change(write_back={"method": {**VECTOR["method"], "space_type": "l1"}}, model=model)
    said = refused(run)
    assert "lucene compares vectors of floats by cosinesimil, innerproduct, l2, not by 'l1'" in said
    assert takes(cluster, {**VECTOR, "method": pasted(said)})
    assert [*cluster.ok("GET", "/live-*")] == []


def test_vectors_longer_than_any_engine_takes(cluster: Cluster, night: Night) -> None:
    index = cluster.index("wanting", fields={name: FIELDS[name] for name in FIELDS if name != "vector"})
    index.add(articles(3))
    run = night(model={"parameters": {"dimensions": LONGEST + 1}})
    run.index = index
    with pytest.raises(AirflowFailException, match=f"vectors of {LONGEST + 1} numbers.*takes {LONGEST} at most"):
        run.prepare()


def doubts(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    said = [record for record in caplog.records if "compares by" in record.getMessage()]
    return [(record.levelname, record.getMessage()) for record in said]


@pytest.mark.parametrize("space", ["l2", "innerproduct"])
def test_another_space_is_in_doubt_until_the_models_vectors_are_measured(
    cluster: Cluster, night: Night, caplog: pytest.LogCaptureFixture, space: str
) -> None:
    caplog.set_level(logging.INFO, logger="opensearch_batch")
    index = cluster.index("other-space", fields=of_space(space))
    index.add(articles(3))
    run = night()
    run.index = index
    run.through()
    [(level, said)] = doubts(caplog)
    assert level == "INFO"
    assert said.startswith(
        f"other-space: 'vector' compares by {space} (lucene), which finds what cosinesimil finds where"
    )
    caplog.clear()
    second = night("night-2")
    second.index = index
    second.prepare()
    assert doubts(caplog) == [], "these vectors have length 1"
    of_the_model = {"vector_provenance": {"model": MODEL, "text_hash": "x", "run": "x"}}
    index.add({"long": {"body": "a text", "vector": [3.0, 4.0, *[0.0] * 6], **of_the_model}})
    third = night("night-3")
    third.index = index
    third.prepare()
    [(level, said)] = doubts(caplog)
    assert level == "WARNING"
    assert "the model's vectors have lengths from 1 to 5 (4 measured): the nearest are not those of cosinesimil" in said
    assert pasted(said) == VECTOR["method"]


def test_a_field_by_angle_is_not_measured(index: Index, night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    send, searches = MLCommonsHook.send, []

    def noting(self: MLCommonsHook, call: Call) -> Any:
        searches.append(call.name)
        return send(self, call)

    monkeypatch.setattr(MLCommonsHook, "send", noting)
    index.add(articles(3))
    night().prepare()
    assert "read a page of documents" in searches
    assert "search articles" not in searches


def test_vectors_of_another_model_are_not_measured(
    cluster: Cluster, night: Night, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="opensearch_batch")
    index = cluster.index("other-space", fields=of_space("l2"))
    of_another = {"vector_provenance": {"model": "another", "text_hash": "x", "run": "x"}}
    index.add({"long": {"body": "a text", "vector": [3.0, 4.0, *[0.0] * 6], **of_another}})
    run = night(write_back={"on_model_change": "replace"})
    run.index = index
    run.prepare()
    [(_, said)] = doubts(caplog)
    assert said.endswith("not known yet")


def test_a_default_space_of_the_index_counts_where_servers_have_one(cluster: Cluster) -> None:
    """Fields without a method have it on 2.x; 3.x knows no such setting."""
    if cluster.is_sandbox:
        pytest.skip("the sandbox has no index.knn.space_type")
    settings = {"index": {"knn": True, "knn.space_type": "cosinesimil"}}
    vector = {"type": "knn_vector", "dimension": DIMENSIONS}
    body = {"settings": settings, "mappings": {"properties": {"vector": vector}}}
    answer = cluster.http.put("/by-default", json=body)
    if cluster.version.startswith("3."):
        assert "unknown setting [index.knn.space_type]" in answer.text
        return
    cluster.names.append("by-default")
    told = cluster.ok("GET", "/by-default")["by-default"]
    assert told["mappings"]["properties"]["vector"] == vector, "the mapping does not say it"
    assert space_of(vector, told["settings"]["index"]) == "cosinesimil"


def test_chunks_are_measured_too(cluster: Cluster, night: Night, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="opensearch_batch")
    chunk = {"text": {"type": "text"}, "text_hash": {"type": "keyword"}, "start": {"type": "integer"}}
    chunk |= {"end": {"type": "integer"}, "vector": field(engine="lucene", space_type="l2")}
    fields = {name: FIELDS[name] for name in ("title", "body")}
    fields |= {"chunks": {"type": "nested", "properties": chunk}, "chunks_provenance": FIELDS["vector_provenance"]}
    index = cluster.index("chunked-space", fields=fields)
    ours = {"chunks_provenance": {"model": MODEL, "text_hash": "x", "run": "x"}}
    long = [{"text": "a", "text_hash": "x", "start": 0, "end": 1, "vector": [2.0, *[0.0] * 7]}] * 3
    index.add({"long": {"body": "a text", "chunks": long, **ours}})
    run = night(
        input={"chunks": {"size": 100, "unit": "characters"}},
        write_back={"vector_field": "chunks.vector"},
    )
    run.index = index
    run.prepare()
    [(_, said)] = doubts(caplog)
    assert "have lengths from 2 to 2 (3 measured)" in said
    assert "chunked-space: 'chunks.vector' compares by l2 (lucene), and the model's vectors have lengths from 2" in said


def test_parity_measures_what_the_model_answers(cluster: Cluster, night: Night, server: Server) -> None:
    server.model(name="fill", dimensions=DIMENSIONS)
    index = cluster.index("other-space", fields=of_space("l2"))
    index.add(articles(5))
    run = night(parity={"sample": 5, "queries": 2})
    run.index = index
    run.through()
    found = run.compare()
    assert (found["least_length"], found["greatest_length"]) == (pytest.approx(1), pytest.approx(1))
    assert (found["compared"], found["recall"], found["doubts"]) == (5, 1.0, [])
