"""A document is written while its batch is out: with the same text it takes its vector, by several specs at once too;
with another text, or the vector of a later run, it is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Unavailable
from opensearch_batch.sinks.index import MOST_REREAD
from tests.index.bench import FIELDS, PROVENANCE, VECTOR, Cluster, Fill, Index, articles
from tests.index.chunks import CHUNKS
from tests.sandbox.bench import Run, Server

Begun = Callable[..., Fill]

SIDECAR = "noted"
TITLES: dict[str, Any] = {"input": {"text_field": "title"}, "write_back": {"vector_field": "title_vector"}}
CUT: dict[str, Any] = {
    "input": {"chunks": {"size": 20}},
    "write_back": {"vector_field": "chunks.embedding", "provenance_field": "chunks_provenance"},
}
LARGE: dict[str, Any] = {"model": {"name": "text-embedding-3-large"}, "write_back": {"on_model_change": "replace"}}


@pytest.fixture
def index(cluster: Cluster) -> Index:
    others = {"title_vector": VECTOR, "title_vector_provenance": PROVENANCE}
    chunks = {"chunks": CHUNKS, "chunks_provenance": PROVENANCE}
    cluster.names.append(SIDECAR)
    return cluster.index("articles", fields={**FIELDS, **others, **chunks})


@pytest.fixture(params=["in the document", "in a sidecar"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the provenance lies."""
    return {} if request.param == "in the document" else {"provenance_index": SIDECAR}


@pytest.fixture
def begun(tmp_path: Path, index: Index, server: Server) -> Begun:
    """A run of a spec; `name` is the spec's, for its own checkpoint and results."""
    model_id = server.model()

    def made(run_id: str, name: str = "bodies", **settings: Any) -> Fill:
        return Fill(Run(tmp_path / name, run_id), index, model_id, settings)

    return made


def with_place(settings: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    return {**settings, "write_back": {**settings.get("write_back", {}), **place}}


def counts(written: Any) -> tuple[int, int]:
    [only] = written
    return only["written"], only["superseded"]


def with_other_numbers(run: Fill) -> None:
    """The vectors of a run that has landed: the sandbox makes the same ones for all models."""
    [path] = [run.run.out / name for name in run.run.files() if name.startswith("results-")]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(f"{json.dumps({**line, 'embedding': line['embedding'][::-1]})}\n" for line in lines))


def nothing_to_send(run: Fill) -> bool:
    return bool(run.prepare() == [] and run.plan["records"] == 0)


def test_two_fields_of_an_index_are_filled_at_the_same_time(
    index: Index, begun: Begun, place: dict[str, Any], server: Server
) -> None:
    index.add(articles(130))
    bodies = begun("night-1", **with_place({}, place))
    titles = begun("night-1", "titles", **with_place(TITLES, place))
    of_bodies, of_titles = bodies.prepare(), titles.prepare()
    of_bodies, of_titles = bodies.land(of_bodies), titles.land(of_titles)
    assert counts(bodies.write(of_bodies)) == (130, 0)
    assert counts(titles.write(of_titles)) == (130, 0)
    assert all({"vector", "title_vector"} <= hit["_source"].keys() for hit in index.hits.values())
    before, jobs = index.seq_nos, len(server.ledger)
    assert counts(titles.write(of_titles)) == (130, 0)
    assert nothing_to_send(begun("night-2", **with_place({}, place)))
    assert nothing_to_send(begun("night-2", "titles", **with_place(TITLES, place)))
    assert (index.seq_nos, len(server.ledger)) == (before, jobs)


def test_chunks_and_a_vector_of_a_document_are_made_at_the_same_time(index: Index, begun: Begun) -> None:
    index.add(articles(5))
    titles, chunks = begun("night-1", "titles", **TITLES), begun("night-1", "chunks", **CUT)
    of_titles, of_chunks = titles.prepare(), chunks.prepare()
    of_titles, of_chunks = titles.land(of_titles), chunks.land(of_chunks)
    assert counts(titles.write(of_titles)) == (5, 0)
    index.edit("a1", body="another text")
    assert counts(chunks.write_chunks(of_chunks)) == (4, 1)
    with_both = {name for name, hit in index.hits.items() if {"title_vector", "chunks"} <= hit["_source"].keys()}
    assert with_both == {"a0", "a2", "a3", "a4"}


def test_of_the_fields_of_a_prompt_each_is_the_text(index: Index, begun: Begun) -> None:
    index.add(articles(4))

    def meanwhile() -> None:
        index.edit("a0", day="2026-01-01")
        index.edit("a1", title="another")
        index.edit("a2", title=["a list"])

    run = begun("night-1", input={"prompt": "{title}: {body}"})
    written = run.through(meanwhile)["written"]
    assert (written["written"], written["superseded"], sorted(written["named"])) == (2, 2, ["a1", "a2"])


def test_a_document_put_again_with_the_same_text_takes_its_vector(
    index: Index, begun: Begun, place: dict[str, Any]
) -> None:
    """Its owner writes whole documents, and so takes the vector of an earlier text away."""
    index.add(articles(3))
    begun("night-1", **with_place({}, place)).through()
    for name in ("a0", "a1"):
        index.edit(name, body=f"edited {name}")

    def meanwhile() -> None:
        index.edit("a0", title="another")
        index.add({"a1": {"body": "edited a1"}})

    written = begun("night-2", **with_place({}, place)).through(meanwhile)["written"]
    assert (written["written"], written["superseded"]) == (2, 0)
    assert index.hits["a0"]["_source"]["title"] == "another"
    assert nothing_to_send(begun("night-3", **with_place({}, place)))


@pytest.mark.parametrize(
    ("settings", "made"),
    [({}, "vector"), ({"write_back": {"provenance_index": SIDECAR}}, "vector"), (CUT, "chunks")],
    ids=["in the document", "in a sidecar", "chunks"],
)
def test_a_vector_that_its_owner_has_taken_away_is_written_over_an_edit_of_another_field(
    index: Index, begun: Begun, settings: dict[str, Any], made: str
) -> None:
    """The hash of the same text stayed in the document, and is there when it is read again."""
    index.add(articles(3))
    begun("night-1", **settings).through()
    index.edit("a1", **{made: None})
    written = begun("night-2", **settings).through(lambda: index.edit("a1", title="another"))["written"]
    assert (written["written"], written["superseded"]) == (1, 0)
    source = index.hits["a1"]["_source"]
    assert source[made]
    assert source["title"] == "another"
    assert nothing_to_send(begun("night-3", **settings))


def test_a_vector_that_was_taken_away_is_written_twice_as_once(index: Index, begun: Begun) -> None:
    index.add(articles(3))
    begun("night-1").through()
    index.edit("a1", vector=None)
    run = begun("night-2")
    landed = run.land(run.prepare())
    assert counts(run.write(landed)) == (1, 0)
    before = {name: hit["_source"] for name, hit in index.hits.items()}
    assert counts(run.write(landed)) == (1, 0)
    assert {name: hit["_source"] for name, hit in index.hits.items()} == before


def test_a_lost_answer_to_the_second_request_costs_nothing(
    index: Index, begun: Begun, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectors of edited documents were written: all come again, and each counts once."""
    index.add(articles(20))
    run = begun("night-1", **with_place({}, place))
    landed = run.land(run.prepare())
    for name in articles(5):
        index.edit(name, title="another")
    send, requests = MLCommonsHook.send, list[Call]()

    def losing(self: MLCommonsHook, call: Call) -> Any:
        answer = send(self, call)
        if call.lines is not None and b'"if_seq_no"' in call.lines:
            requests.append(call)
            if len(requests) == 2:
                raise Unavailable("write documents: no answer from the cluster")
        return answer

    monkeypatch.setattr(MLCommonsHook, "send", losing)
    assert counts(run.write(landed)) == (20, 0)
    assert [(call.lines or b"").count(b'"if_seq_no"') for call in requests] == [20, 5, 20]
    assert nothing_to_send(begun("night-2", **with_place({}, place)))


@pytest.mark.parametrize("had_vectors", [False, True])
def test_a_vector_of_a_later_run_stays(index: Index, begun: Begun, place: dict[str, Any], had_vectors: bool) -> None:
    index.add(articles(3))
    if had_vectors:
        begun("night-0", **with_place({}, place)).through()
        for name in articles(3):
            index.edit(name, body=f"edited {name}")
    older = begun("night-1", "older", **with_place({}, place))
    landed = older.land(older.prepare())
    with_other_numbers(older)
    begun("night-2", "large", **with_place(LARGE, place)).through()
    before = index.hits
    assert counts(older.write(landed)) == (0, 3)
    assert index.hits == before


def test_a_document_that_others_write_all_the_time_is_left_for_the_next_run(
    index: Index, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(articles(3))
    send, looked = MLCommonsHook.send, list[int]()

    def busy(self: MLCommonsHook, call: Call) -> Any:
        answer = send(self, call)
        if call.name == "get documents with versions":
            looked.append(len(answer))
            index.edit("a1", title=f"edited {len(looked)} times")
        return answer

    monkeypatch.setattr(MLCommonsHook, "send", busy)
    run = begun("night-1")
    written = run.through(lambda: index.edit("a1", title="edited"))["written"]
    assert (written["written"], written["superseded"], written["named"]) == (2, 1, ["a1"])
    assert looked == [1] * (MOST_REREAD + 1)
