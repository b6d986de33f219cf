"""Erasure of documents whose texts were cut into chunks: rows are named by their document and a number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch import results
from tests.index.bench import Fill, Index
from tests.index.chunks import essay, essays
from tests.index.test_chunks import Chunked, chunked, chunks_of, index, reuse
from tests.index.test_erase import Night, at_the_provider, erase, files_with, found_in, of_values
from tests.sandbox.bench import Server

__all__ = ["chunked", "index", "reuse"]

PERSON = "Fake Person"


def with_person(count: int) -> dict[str, dict[str, Any]]:
    """A document is named as a chunk of the person would be."""
    person = {"title": "of a person", "body": essay(PERSON)}
    return {**essays(count), "person": person, "person#0": {"title": "t", "body": essay("other")}}


def lines_of_others(folder: Path) -> list[bytes]:
    lines = [line for path in folder.glob("results-*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(line for line in lines if json.loads(line)["_chunk"]["of"] != "person")


@pytest.mark.parametrize("texts_per_request", [1, 4])
def test_chunks_go_from_everywhere_and_the_others_stay(
    index: Index, chunked: Chunked, server: Server, reuse: Any, tmp_path: Path, texts_per_request: int
) -> None:
    model = {"texts_per_request": texts_per_request}
    settings = {"reuse": reuse, "output": {"include": ["title"]}, "model": model}
    index.add(with_person(4))
    chunked(**settings).through()
    index.edit("person", body=f"{essay(PERSON)} And a last one.")
    chunked("night-2", **settings).through()
    run = chunked("night-3", **settings)
    others, lines = index.hits, lines_of_others(tmp_path / "out")
    others.pop("person")
    planned = erase(run, ["person"], "plan", remove=False)
    proof = erase(run, ["person"])
    assert (planned["state"], proof["state"], found_in(proof)) == ("planned", "erased", found_in(planned))
    assert all(place["left"] == 0 for place in proof["places"])
    assert files_with(tmp_path, PERSON) == [text for text in at_the_provider(server) if PERSON in text] == []
    assert (index.hits, lines_of_others(tmp_path / "out")) == (others, lines)
    assert {row["_chunk"]["of"] for row in results.open(f"file://{tmp_path}/out/manifest.json")}.isdisjoint({"person"})
    jobs = len(server.ledger)
    index.add({"again": {"title": "t", "body": essay("e0")}})
    report = run.through()
    assert (report["records"], report["reused"], len(server.ledger)) == (5, 5, jobs)


def test_of_a_forgotten_text_no_chunk_is_left_in_the_document(index: Index, chunked: Chunked, server: Server) -> None:
    index.add(with_person(3))
    chunked().through()
    others = {name: hit for name, hit in index.hits.items() if name != "person"}
    proof = erase(chunked("night-2"), ["person"], forget="text")
    assert (proof["state"], found_in(proof)["index"]) == ("erased", 1)
    hits = index.hits
    left = hits.pop("person")["_source"]
    assert of_values(left) == {"title": "of a person"}
    assert hits == others
    passages = {"nested": {"path": "chunks", "query": {"match": {"chunks.text": PERSON}}}}
    found = index.cluster.ok("POST", f"/{index.name}/_search", {"query": passages, "_source": False})["hits"]["hits"]
    assert "person" not in {hit["_id"] for hit in found}
    run, jobs = chunked("night-2"), len(server.ledger)
    run.prepare()
    assert (run.plan["records"], run.plan["empty"], len(server.ledger)) == (0, 1, jobs)


def test_chunks_of_an_earlier_spec_are_found_by_the_present_one(
    index: Index, chunked: Chunked, night: Night, server: Server, tmp_path: Path
) -> None:
    index.add(with_person(3))
    chunked(output={"include": ["title"]}).through()
    run: Fill = night("night-2", output={"include": ["title"]})
    run.through()
    proof = erase(run, ["person"], forget="text")
    assert (proof["state"], found_in(proof)["results"]) == ("erased", 5 + 1)
    left = index.hits["person"]["_source"]
    assert of_values(left) == {"title": "of a person"}
    assert files_with(tmp_path, PERSON) == files_with(tmp_path, "of a person") == []
    assert len(chunks_of(index, "person#0")) == 5
    assert "vector" in index.hits["person#0"]["_source"]


def test_a_chunk_that_failed_is_forgotten_with_the_words_about_it(
    index: Index, chunked: Chunked, server: Server, tmp_path: Path
) -> None:
    index.add(with_person(4))
    server.fault("fail_rows", ids=["person#2", "person#0#1"])
    settings = {"limits": {"max_failed_fraction": 0.5}}
    chunked(**settings).through()
    server.no_more_faults()
    proof = erase(chunked("night-2", **settings), ["person"])
    assert (proof["state"], found_in(proof)["failures"], found_in(proof)["checkpoint"]) == ("erased", 1, 1)
    report = results.open(f"file://{tmp_path}/out/manifest.json").manifest.report
    assert (report.records, report.failed, [each.id for each in report.examples]) == (25, 1, ["person#0#1"])
    assert report.written
    assert report.written.named == ["person#0"]
    assert chunked("night-3", **settings).through()["written"]["written"] == 1


def test_files_at_the_provider_are_found_by_their_rows_alone(
    index: Index, chunked: Chunked, server: Server, tmp_path: Path
) -> None:
    """The work folder was emptied, as its description allows."""
    index.add(with_person(2))
    run = chunked()
    run.through()
    for path in sorted((tmp_path / "work").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert erase(chunked("night-2"), ["person"])["state"] == "erased"
    assert [text for text in at_the_provider(server) if PERSON in text] == []


def test_a_run_with_chunks_that_has_not_ended_is_refused(index: Index, chunked: Chunked) -> None:
    index.add(with_person(2))
    run = chunked()
    run.prepare()
    planned = erase(chunked("night-2"), ["person"], "plan", remove=False)
    assert "run by_hand/night-1 of fill: not ended" in planned["not_removed"][0]["what"]
    assert erase(chunked("night-2"), ["nobody"], "plan-2", remove=False)["not_removed"][0]["what"] != "run"
