"""Another model: a new index is filled beside the one that an alias leads to, and the alias moves when all is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.index.bench import DIMENSIONS, FIELDS, VECTOR, Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, OLD, Beside, behind, lead
from tests.sandbox.bench import MODEL, Run, Server

Change = Callable[..., Beside]
LOOSE = {"max_without_vector": 0.2}


def test_the_alias_moves_to_an_index_with_vectors_of_the_new_model(aliased: Index, change: Change) -> None:
    before = aliased.hits
    run = change()
    report = run.through()
    new = run.new_index
    assert behind(aliased.cluster) == {new.name}
    assert (report["answered"], report["written"]["written"]) == (40, 40)
    swapped = report["swapped"]
    assert (swapped["index"], swapped["kept"]) == (new.name, aliased.name)
    assert (swapped["documents"], swapped["without_vector"]) == (40, 0)
    assert aliased.hits == before, "the old index is kept as it was"
    hits = new.hits
    assert {name: hit["_source"]["body"] for name, hit in hits.items()} == {
        name: source["body"] for name, source in articles(40).items()
    }
    assert {hit["_source"]["vector_provenance"]["model"] for hit in hits.values()} == {MODEL}
    assert all(hit["_source"]["vector"] != OLD["vector"] for hit in hits.values())


def test_documents_are_copied_from_an_index_that_answers_with_few_hits(aliased: Index, change: Change) -> None:
    aliased.cluster.ok("PUT", f"/{aliased.name}/_settings", {"index.max_result_window": 7})
    assert change().through()["swapped"]["documents"] == 40


def test_each_flow_of_a_run_has_an_index_of_its_own(aliased: Index, change: Change) -> None:
    """The second begins where the first one's alias leads, and keeps the vectors there."""
    first = change()
    first.through()
    second = change(input={"text_field": "title"}, write_back={"vector_field": "title_vector"})
    second.made_by, second.prepared_by = "titles.make_index", "titles.prepare_input"
    swapped = second.through()["swapped"]
    assert (swapped["kept"], behind(aliased.cluster)) == (first.new_index.name, {second.new_index.name})
    vectors = {name: hit["_source"]["vector"] for name, hit in first.new_index.hits.items()}
    assert {name: hit["_source"]["vector"] for name, hit in second.new_index.hits.items()} == vectors
    assert all(len(hit["_source"]["title_vector"]) == DIMENSIONS for hit in second.new_index.hits.values())


def test_edits_made_meanwhile_are_in_the_new_index(aliased: Index, change: Change) -> None:
    def meanwhile() -> None:
        aliased.edit("a0", body="another text")
        aliased.edit("a1", title="another title")
        aliased.remove("a2")
        aliased.add({"new": {"title": "t", "body": "a text that is new"}})

    run = change(write_back=LOOSE)
    swapped = run.through(meanwhile)["swapped"]
    hits = run.new_index.hits
    assert set(hits) == set(aliased.hits)
    assert hits["a0"]["_source"]["body"] == "another text"
    assert hits["a1"]["_source"]["title"] == "another title"
    assert set(hits) - run.new_index.vectors == {"a0", "new"}, "no vector of a former text"
    assert (swapped["carried"]["written"], swapped["carried"]["deleted"]) == (3, 1)
    assert swapped["without_vector"] == 2


def test_edits_that_no_search_sees_yet_are_in_the_new_index(aliased: Index, change: Change) -> None:
    """The copy begins behind a state that counts them: whoever passes them over never comes back."""
    aliased.never_refresh()
    aliased.edit("a0", body="edited before the copy")
    aliased.remove("a3")
    run = change(write_back=LOOSE)
    run.through(lambda: aliased.edit("a1", body="edited before the carry-over"), lambda: aliased.remove("a4"))
    hits = run.new_index.hits
    assert set(hits) == set(aliased.hits)
    assert [hits[name]["_source"]["body"] for name in ("a0", "a1")] == [
        "edited before the copy",
        "edited before the carry-over",
    ]


def test_edits_made_between_the_carry_over_and_the_swap_are_in_the_new_index(aliased: Index, change: Change) -> None:
    def meanwhile() -> None:
        aliased.edit("a0", body="edited once")
        aliased.remove("a2")

    def late() -> None:
        aliased.edit("a0", body="edited twice")
        aliased.remove("a3")
        aliased.add({"a2": {"title": "t", "body": "made again"}})

    run = change(write_back=LOOSE)
    run.through(meanwhile, late)
    hits = run.new_index.hits
    assert set(hits) == set(aliased.hits)
    assert (hits["a0"]["_source"]["body"], hits["a2"]["_source"]["body"]) == ("edited twice", "made again")
    assert set(hits) - run.new_index.vectors == {"a0", "a2"}


def test_a_document_edited_often_is_not_kept_back_by_its_version(aliased: Index, change: Change) -> None:
    """The vector's own write counts as a version in the new index."""
    run = change(write_back=LOOSE)
    for turn in range(3):
        aliased.edit("a0", title=f"before {turn}")
    run.through(lambda: aliased.edit("a0", title="after"), lambda: aliased.edit("a0", title="last"))
    hit = run.new_index.hits["a0"]["_source"]
    assert hit["title"] == "last"
    assert "vector" in hit, "its text is the same"


def test_a_version_of_the_writers_own_is_kept(aliased: Index, change: Change) -> None:
    cluster = aliased.cluster
    cluster.ok("PUT", f"/{aliased.name}/_doc/a0?version=70&version_type=external", {"body": "a text of version 70"})
    run = change()
    run.through()
    stale = cluster.http.put(f"/{ALIAS}/_doc/a0?version=69&version_type=external", json={"body": "an older text"})
    assert stale.status_code == 409, stale.text
    assert cluster.ok("GET", f"/{ALIAS}/_doc/a0")["_version"] in (70, 71)


def test_the_next_nights_fill_what_was_edited_meanwhile(aliased: Index, change: Change, tmp_path: Any) -> None:
    run = change(write_back=LOOSE)
    run.through(lambda: aliased.edit("a0", body="another text"))
    night = Fill(
        Run(tmp_path, "night"), run.new_index, run.model_id, {"input": {"uri": f"opensearch://corpus/{ALIAS}"}}
    )
    assert night.through()["written"]["written"] == 1
    assert run.new_index.vectors == set(aliased.hits)


def test_the_aliass_filter_routing_and_write_index_move_too(cluster: Cluster, change: Change) -> None:
    index = cluster.index("articles-ruled")
    rule = {"filter": {"range": {"day": {"gte": "2026-01-02"}}}, "is_write_index": True}
    lead(cluster, "ruled", index, **rule, search_routing="r", index_routing="r")
    days = {f"d{n}": {"body": f"text {n}", "day": f"2026-01-0{n}"} for n in range(1, 5)}
    index.add(days, routing="r")
    run = change()
    run.index, run.alias = index, "ruled"
    report = run.through()
    found = cluster.ok("GET", "/_alias/ruled")[run.new_index.name]["aliases"]["ruled"]
    assert found == {**rule, "search_routing": "r", "index_routing": "r"}
    assert set(run.new_index.hits) == set(days)
    assert (report["records"], run.new_index.vectors) == (3, {"d2", "d3", "d4"}), "what no search finds is not paid for"


def test_routed_documents_of_one_id_stay_two(aliased: Index, change: Change) -> None:
    aliased.add({"twin": {"body": "of team one"}}, routing="one")
    aliased.add({"twin": {"body": "of team four"}}, routing="four")
    twins = _twins(aliased)
    run = change(input={"bad_rows": "skip", "max_bad_fraction": 0.5}, write_back=LOOSE)
    run.through()
    assert _twins(run.new_index) == twins


def _twins(index: Index) -> list[tuple[str, str]]:
    index.cluster.ok("POST", f"/{index.name}/_refresh")
    query = {"query": {"ids": {"values": ["twin"]}}, "size": 10}
    hits = index.cluster.ok("POST", f"/{index.name}/_search", query)["hits"]["hits"]
    return sorted((hit["_routing"], hit["_source"]["body"]) for hit in hits)


def test_mapping_settings_and_meta_are_taken_over(aliased: Index, change: Change) -> None:
    cluster = aliased.cluster
    cluster.ok("PUT", f"/{aliased.name}/_mapping", {"_meta": {"owner": "team"}})
    cluster.ok("PUT", f"/{aliased.name}/_settings", {"index.refresh_interval": "7s"})
    method = {"name": "hnsw", "engine": "lucene", "space_type": "l2"}
    run = change(write_back={"method": method})
    run.through()
    about = cluster.ok("GET", f"/{run.new_index.name}")[run.new_index.name]
    mapping, settings = about["mappings"], about["settings"]["index"]
    assert (mapping["dynamic"], mapping["_meta"]["owner"]) == ("strict", "team")
    assert mapping["properties"]["vector"]["method"]["space_type"] == "l2"
    assert (settings["refresh_interval"], settings["number_of_shards"], settings["knn"]) == ("7s", "3", "true")


def test_an_index_without_vectors_and_knn_gets_both(cluster: Cluster, change: Change) -> None:
    plain = {name: FIELDS[name] for name in ("title", "body", "day")}
    index = cluster.index("articles-plain", fields=plain, knn=False)
    index.add(articles(10))
    lead(cluster, "plain", index)
    run = change()
    run.index, run.alias = index, "plain"
    assert run.through()["written"]["written"] == 10
    assert run.new_index.vectors == set(articles(10))


def test_the_length_of_the_vectors_is_the_models_own(aliased: Index, change: Change) -> None:
    """No request names it: the field waits for the first answer."""
    run = change(model={"parameters": {}})
    run.through()
    mapping = aliased.cluster.ok("GET", f"/{run.new_index.name}/_mapping")[run.new_index.name]["mappings"]
    [length] = {len(hit["_source"]["vector"]) for hit in run.new_index.hits.values()}
    field = mapping["properties"]["vector"]
    assert (field["dimension"], field["method"]["space_type"]) == (length, VECTOR["method"]["space_type"])
    assert length != DIMENSIONS


def test_a_dry_run_makes_no_index(aliased: Index, change: Change, server: Server) -> None:
    run = change()
    run.settings["dry_run"] = True
    made = run.make()
    assert run.new is None
    run.copy()
    assert run.prepare() == []
    assert (run.plan["records"], made.get("input.query")) == (40, None)
    with pytest.raises(AirflowSkipException):
        run.carry()
    assert behind(aliased.cluster) == {aliased.name}


def test_texts_that_have_a_vector_of_the_new_model_already_are_not_paid_again(
    aliased: Index, change: Change, server: Server, tmp_path: Any
) -> None:
    reuse = {"uri": f"file://{tmp_path}/record"}
    first = change(reuse=reuse)
    landed = first.filled()
    with pytest.raises(AirflowFailException, match="the alias was not moved"):
        first.report(landed)
    jobs = len(server.ledger)
    second = change("change-2", reuse=reuse)
    report = second.through()
    assert (report["reused"], report["answered"], len(server.ledger)) == (40, 40, jobs)
    assert behind(aliased.cluster) == {second.new_index.name}
    assert second.new_index.vectors == set(aliased.hits)


def test_the_index_before_the_kept_one_is_named_and_goes_where_the_spec_says_so(aliased: Index, change: Change) -> None:
    first = change()
    first.through()
    second = change("change-2")
    second.index = first.new_index
    assert second.through()["swapped"]["older"] == [aliased.name]
    assert aliased.hits, "it is named only"
    third = change("change-3", write_back={"remove_older": True})
    third.index = second.new_index
    swapped = third.through()["swapped"]
    assert (swapped["kept"], swapped["removed"]) == (second.new_index.name, [first.new_index.name])
    assert aliased.cluster.http.head(f"/{first.new_index.name}").status_code == 404


def test_the_models_vectors_are_alone_in_the_new_index(aliased: Index, change: Change) -> None:
    run = change()
    run.filled()
    run.new_index.edit("a0", vector=OLD["vector"], vector_provenance={"model": "another"})
    with pytest.raises(AirflowFailException, match="1 documents have vectors of another model"):
        run.carry()
    assert behind(aliased.cluster) == {aliased.name}
