"""Erasure goes by the names that runs gave to their rows, and into the indices that runs have read: never further."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.index.bench import DIMENSIONS, FIELDS, VECTOR, Cluster, Fill, Index, articles
from tests.index.test_erase import SECRET, erase, files_with
from tests.sandbox.bench import Run, Server

Night = Callable[..., Fill]
INTRO = {"articles/intro": {"title": "x", "body": "one"}, "intro": {"title": "y", "body": "two"}}
"""Two documents: the id of the first begins as the name of the index does."""


def left_of(proof: dict[str, Any]) -> list[str]:
    return [each["what"] for each in proof["not_removed"]]


def looked_in(proof: dict[str, Any]) -> list[str]:
    return [place["at"].rpartition("/")[2] for place in proof["places"] if place["kind"] == "index"]


def lead_to_both(index: Index, other: Index, alias: str = "live") -> None:
    add = [{"add": {"index": name, "alias": alias}} for name in (index.name, other.name)]
    index.cluster.ok("POST", "/_aliases", {"actions": add})


def as_of_an_earlier_version(folder: Path) -> None:
    """Manifests of then do not tell which indices a run has read."""
    for path in folder.glob("manifest*.json"):
        manifest = json.loads(path.read_bytes())
        manifest["report"].pop("indices")
        path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("forget", ["document", "text"])
def test_a_slash_in_an_id_of_one_index_parts_nothing(index: Index, night: Night, forget: str) -> None:
    index.add({**articles(2), **INTRO})
    night().through()
    others = {name: hit for name, hit in index.hits.items() if name != "articles/intro"}
    proof = erase(night("night-2"), ["articles/intro"], forget=forget)
    assert (proof["state"], proof["documents"]) == ("erased", 1)
    assert {name: hit for name, hit in index.hits.items() if name != "articles/intro"} == others
    assert "'one'" not in str(index.hits)


def test_a_row_of_several_indices_is_named_by_its_index_too(index: Index, night: Night) -> None:
    other = index.cluster.index("articles-old", shards=1)
    lead_to_both(index, other)
    index.add({**articles(2), **INTRO})
    other.add({"intro": {"body": "three"}})
    run = night(input={"uri": "opensearch://corpus/live"})
    run.through()
    assert erase(run, ["articles/intro"])["state"] == "erased"
    assert set(index.hits) == {*articles(2), "articles/intro"}
    assert set(other.hits) == {"intro"}


def test_an_id_that_may_mean_two_documents_is_refused(index: Index, night: Night, tmp_path: Path) -> None:
    """A run has read the index alone, and a later one with another."""
    index.add({**articles(2), **INTRO})
    other = index.cluster.index("articles-old", shards=1)
    lead = {"add": {"index": index.name, "alias": "live"}}
    index.cluster.ok("POST", "/_aliases", {"actions": [lead]})
    by_alias = {"input": {"uri": "opensearch://corpus/live"}}
    night(**by_alias).through()
    lead_to_both(index, other)
    other.add(articles(1))
    run = night("night-2", **by_alias)
    run.through()
    before = index.hits
    with pytest.raises(AirflowFailException, match="2 documents of articles: .*unknown: keep.*Nothing was removed"):
        erase(run, ["articles/intro"])
    assert index.hits == before
    proof = erase(run, ["articles/intro"], unknown="keep")
    assert (proof["state"], index.hits) == ("erased", before)
    assert "2 documents of articles" in left_of(proof)
    index.remove("articles/intro")
    assert erase(run, ["articles/intro"], "erasure-2")["state"] == "erased"
    assert set(index.hits) == set(articles(2))


def test_where_no_manifest_tells_how_rows_are_named_nothing_is_removed(
    index: Index, night: Night, tmp_path: Path
) -> None:
    index.add({**articles(2), "intro": {"title": "y", "body": "two"}})
    night().through()
    as_of_an_earlier_version(tmp_path / "out")
    before = index.hits
    with pytest.raises(AirflowFailException, match="1 document of articles: .*Nothing was removed"):
        erase(night("night-2"), ["articles/intro"])
    planned = erase(night("night-2"), ["articles/intro"], "plan", remove=False)
    assert any(what.startswith("1 document of articles") for what in left_of(planned))
    assert index.hits == before
    assert erase(night("night-2"), ["articles/intro"], unknown="delete")["state"] == "erased"
    assert set(index.hits) == set(articles(2))


def test_a_document_of_another_name_keeps_its_place_in_checkpoint_and_manifest(
    index: Index, night: Night, server: Server, tmp_path: Path
) -> None:
    index.add({**articles(8), **INTRO})
    server.fault("fail_rows", ids=["intro", "articles/intro"])
    night(limits={"max_failed_fraction": 0.5}).through()
    server.no_more_faults()
    assert erase(night("night-2"), ["articles/intro"])["state"] == "erased"
    assert files_with(tmp_path, "articles/intro") == []
    assert "checkpoints/fill.json" in files_with(tmp_path / "work", '"intro"')
    assert "manifest.json" in files_with(tmp_path / "out", '"intro"')
    assert night("night-3").through()["written"]["written"] == 1


@pytest.fixture
def shop(cluster: Cluster, server: Server, tmp_path: Path) -> Callable[..., Fill]:
    """A run of a spec whose every run reads an index of its own partition."""
    model_id = server.model()

    def begun(run_id: str, read: Index, **settings: Any) -> Fill:
        day = {"uri": f"opensearch://corpus/{read.name}"} if settings.pop("resolved", False) else None
        uri = day or {"uri": "opensearch://corpus/shop-{partition}", **settings.pop("input", {})}
        return Fill(Run(tmp_path, run_id), read, model_id, {"input": uri, **settings})

    return begun


def test_an_index_that_no_run_reads_keeps_its_documents(cluster: Cluster, shop: Callable[..., Fill]) -> None:
    """The pattern of a partition fits its name, and a day is no comment."""
    day, later, comments = (cluster.index(f"shop-{name}") for name in ("2026-01-31", "2026-02-01", "comments"))
    for each in (day, later, comments):
        each.add({"17": {"title": "of that day", "body": SECRET}})
    before = comments.hits
    proof = erase(shop("night-1", day), ["17"])
    assert (proof["state"], looked_in(proof)) == ("erased", [day.name, later.name])
    assert (day.hits, later.hits, comments.hits) == ({}, {}, before)
    assert any(what.startswith("shop-comments") for what in left_of(proof))


def test_a_partition_of_another_form_is_known_by_its_manifest(cluster: Cluster, shop: Callable[..., Fill]) -> None:
    europe, comments = cluster.index("shop-eu"), cluster.index("shop-comments")
    for each in (europe, comments):
        each.add({"17": {"body": SECRET}})
    shop("night-1", europe, resolved=True).through()
    proof = erase(shop("night-2", europe), ["17"])
    assert (proof["state"], looked_in(proof)) == ("erased", ["shop-eu"])
    assert (europe.hits, set(comments.hits)) == ({}, {"17"})


def test_a_query_names_no_document_of_an_index_that_no_run_reads(cluster: Cluster, shop: Callable[..., Fill]) -> None:
    day, comments = cluster.index("shop-2026-01-31"), cluster.index("shop-comments", fields={"title": {"type": "text"}})
    day.add({"17": {"title": "another", "body": "text"}, "18": {"title": "wanted", "body": SECRET}})
    comments.add({"17": {"title": "wanted"}})
    proof = erase(shop("night-1", day), None, query={"match": {"title": "wanted"}})
    assert (proof["documents"], proof["state"]) == (1, "erased")
    assert (set(day.hits), set(comments.hits)) == ({"17"}, {"17"})


@pytest.mark.parametrize(
    ("partition_format", "fits", "other"),
    [("%Y%m%d", "shop-20260131", "shop-2026013x"), ("%G-w%V", "shop-2026-w05", "shop-2026-w77")],
)
def test_partitions_are_known_by_their_format(
    cluster: Cluster, shop: Callable[..., Fill], partition_format: str, fits: str, other: str
) -> None:
    known, stranger = cluster.index(fits), cluster.index(other)
    for each in (known, stranger):
        each.add({"17": {"body": SECRET}})
    proof = erase(shop("night-1", known, input={"partition_format": partition_format}), ["17"])
    assert looked_in(proof) == [fits]
    assert (known.hits, set(stranger.hits)) == ({}, {"17"})


def test_a_partition_that_is_an_alias_of_several_names_index_and_id(
    cluster: Cluster, shop: Callable[..., Fill]
) -> None:
    one, two = cluster.index("a"), cluster.index("b", fields=FIELDS)
    lead_to_both(one, two, "shop-2026-01-31")
    for each in (one, two):
        each.add({"17": {"body": SECRET}})
    proof = erase(shop("night-1", one), ["a/17"])
    assert (proof["state"], looked_in(proof)) == ("erased", ["a", "b"])
    assert (one.hits, set(two.hits)) == ({}, {"17"})


def test_a_closed_partition_is_refused_and_looked_in_once_it_is_open(
    cluster: Cluster, shop: Callable[..., Fill]
) -> None:
    day, later, comments = (cluster.index(f"shop-{name}") for name in ("2026-01-31", "2026-02-01", "comments"))
    for each in (day, later):
        each.add({"17": {"body": SECRET}})
    for each in (day, comments):
        cluster.ok("POST", f"/{each.name}/_close")
    with pytest.raises(AirflowFailException, match=r"POST /shop-2026-01-31/_open .*Nothing was removed"):
        erase(shop("night-1", later), ["17"])
    assert set(later.hits) == {"17"}
    cluster.ok("POST", f"/{day.name}/_open?wait_for_active_shards=1")
    assert erase(shop("night-1", later), ["17"])["state"] == "erased"
    assert (day.hits, later.hits) == ({}, {})


@pytest.mark.parametrize("ids", [["intro"], ["articles-old/intro"]])
def test_a_closed_index_of_an_alias_is_refused(index: Index, night: Night, ids: list[str]) -> None:
    """Whether or not an id names a document there."""
    other = index.cluster.index("articles-old", shards=1)
    lead_to_both(index, other)
    other.add({"intro": {"body": "three"}})
    index.cluster.ok("POST", f"/{index.name}/_close")
    with pytest.raises(AirflowFailException, match="articles is closed: POST articles/_open opens it"):
        erase(night(input={"uri": "opensearch://corpus/live"}), ids)
    assert set(other.hits) == {"intro"}


FORMS = [
    {"meta.of.body": SECRET},
    {"meta": {"of": {"body": SECRET}}},
    {"meta.of": {"body": SECRET}},
    {"meta": {"of.body": SECRET}},
    {"meta.of.body": "and this", "meta": {"of": {"body": SECRET}}},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_text_is_forgotten_in_the_form_of_its_keys(
    cluster: Cluster, server: Server, tmp_path: Path, form: dict[str, Any]
) -> None:
    """An index reads all of these forms alike; _source keeps them as they came."""
    own = {"meta": {"properties": {"of": {"properties": {"body": {"type": "text"}}}}}}
    index = cluster.index("dotted", fields={"title": {"type": "text"}, **own, "made": {"properties": {"v": VECTOR}}})
    index.add({"person": {"title": "stays", **form, "made.v": [0.5] * DIMENSIONS}, "other": {"meta.of.body": "hello"}})
    settings = {"input": {"text_field": "meta.of.body"}, "write_back": {"vector_field": "made.v"}}
    other = index.hits["other"]
    proof = erase(Fill(Run(tmp_path, "night-1"), index, server.model(), settings), ["person"], forget="text")
    assert proof["state"] == "erased"
    assert index.hits["other"] == other
    left = index.hits["person"]["_source"]
    assert left == {"title": "stays", **nothing_of(form), "made.v": None}


def nothing_of(form: dict[str, Any]) -> dict[str, Any]:
    return {key: nothing_of(value) if isinstance(value, dict) else None for key, value in form.items()}
