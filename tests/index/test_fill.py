"""Night after night: each document has the vector of its text, and what has not changed is neither sent nor written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.index.bench import DIMENSIONS, FIELDS, Fill, Index, articles
from tests.sandbox.bench import KEY, MODEL, Server, lines_of

Night = Callable[..., Fill]


def test_each_document_gets_the_vector_of_its_text(index: Index, night: Night, server: Server) -> None:
    index.add(articles(300))
    report = night().through()
    assert (report["answered"], report["written"]["written"]) == (300, 300)
    hits = index.hits
    assert all(len(hit["_source"]["vector"]) == DIMENSIONS for hit in hits.values())
    assert {hit["_source"]["vector_provenance"]["run"] for hit in hits.values()} == {"by_hand/night-1"}
    for name in ("a0", "a7", "a299"):
        assert hits[name]["_source"]["vector"] == pytest.approx(
            embedded(server, hits[name]["_source"]["body"]), abs=1e-6
        )
    assert {hit["_source"]["title"] for hit in hits.values()} == {f"title {n}" for n in range(300)}


def embedded(server: Server, text: str) -> list[float]:
    """The vector of a text, as a search would ask for it."""
    body = {"model": MODEL, "input": [text], "dimensions": DIMENSIONS}
    answer = server.http.post("/v1/embeddings", json=body, headers={"Authorization": f"Bearer {KEY}"})
    found: list[float] = answer.raise_for_status().json()["data"][0]["embedding"]
    return found


def test_a_second_night_sends_nothing_and_writes_nothing(index: Index, night: Night, server: Server) -> None:
    index.add(articles(60))
    night().through()
    before, jobs = index.seq_nos, len(server.ledger)
    second = night("night-2")
    assert second.prepare() == []
    assert (second.plan["records"], second.plan["unchanged"]) == (0, 60)
    with pytest.raises(AirflowSkipException, match="no rows"):
        second.report(None)
    assert (index.seq_nos, len(server.ledger)) == (before, jobs)
    third = night("night-3")
    third.prepare()
    assert (third.plan["records"], third.plan["unchanged"]) == (0, 0), "nothing was written since: nothing is read"


def test_only_what_was_written_since_is_read(index: Index, night: Night) -> None:
    index.add(articles(90))
    night().through()
    second = night("night-2")
    second.prepare()
    with pytest.raises(AirflowSkipException):
        second.report(None)
    index.edit("a3", body="another text")
    index.edit("a4", title="another title")
    index.add({"new": {"title": "t", "body": "a text that is new"}})
    index.remove("a5")
    third = night("night-3")
    assert third.through()["written"]["written"] == 2
    assert (third.plan["records"], third.plan["unchanged"]) == (2, 1)
    assert index.vectors == set(index.hits)
    made = {name: hit["_source"]["vector_provenance"]["run"] for name, hit in index.hits.items()}
    assert {name for name, run in made.items() if run == "by_hand/night-3"} == {"a3", "new"}


def test_what_failed_is_asked_for_again_until_it_has_its_vector(index: Index, night: Night, server: Server) -> None:
    """Its document was not written since, so that only its name brings it back."""
    index.add(articles(30))
    server.fault("fail_rows", ids=["a3"])
    first = night(limits={"max_failed_fraction": 0.5}).through()
    assert (first["written"]["written"], first["failed"]) == (29, 1)
    second = night("night-2")
    assert second.through()["written"]["written"] == 1
    assert (second.plan["records"], index.vectors) == (1, set(articles(30)))
    third = night("night-3")
    third.prepare()
    with pytest.raises(AirflowSkipException):
        third.report(None)
    fourth = night("night-4")
    fourth.prepare()
    assert (fourth.plan["records"], fourth.plan["unchanged"]) == (0, 0), "it is no longer asked for"


def test_a_query_by_the_present_time_reads_everything(index: Index, night: Night) -> None:
    """A document comes into it that nobody has written."""
    index.add({f"d{n}": {"body": f"text {n}", "day": "2026-01-01"} for n in range(5)})
    query = {"range": {"day": {"lte": "now"}}}
    night(input={"query": query}).through()
    second = night("night-2", input={"query": query})
    second.prepare()
    with pytest.raises(AirflowSkipException):
        second.report(None)
    third = night("night-3", input={"query": query})
    third.prepare()
    assert (third.plan["records"], third.plan["unchanged"]) == (0, 5)


def test_another_model_is_refused_until_all_vectors_may_be_replaced(index: Index, night: Night) -> None:
    index.add(articles(20))
    night().through()
    other = {"name": "text-embedding-3-large"}
    with pytest.raises(AirflowFailException, match="20 documents have vectors of another model"):
        night("night-2", model=other).prepare()
    again = night("night-3", model=other, write_back={"on_model_change": "replace"})
    again.prepare()
    assert (again.plan["records"], again.plan["unchanged"]) == (20, 0)


def test_a_template_makes_one_text_of_several_fields(index: Index, night: Night) -> None:
    index.add(articles(5))
    prompt = {"prompt": "{title}\n{body}"}
    assert night(input=prompt).through()["written"]["written"] == 5
    index.edit("a1", title="another title")
    second = night("night-2", input=prompt)
    second.prepare()
    assert second.plan["records"] == 1


def test_a_field_of_a_template_may_have_the_name_of_a_function_of_jinja(
    index: Index, night: Night, server: Server
) -> None:
    """Without it the function was sent, as Python prints it."""
    cars = index.cluster.index("cars", fields={**FIELDS, "range": {"type": "integer"}})
    cars.add({"far": {"title": "EV", "range": 420}, "unknown": {"title": "bus"}})
    run = night(input={"prompt": None, "template": "{{ title }}: range {{ range }} km"})
    run.index = cars
    assert run.through()["written"]["written"] == 2
    hits = cars.hits
    for name, text in (("far", "EV: range 420 km"), ("unknown", "bus: range  km")):
        assert hits[name]["_source"]["vector"] == pytest.approx(embedded(server, text), abs=1e-6)


@pytest.mark.parametrize("wording", [{"prompt": "the same"}, {"prompt": None, "template": "the same"}])
def test_a_text_without_a_field_is_refused_as_no_document_has_one(
    index: Index, night: Night, wording: dict[str, Any]
) -> None:
    """All documents would count as documents without a text, and the night would write nothing and be green."""
    index.add(articles(2))
    with pytest.raises(AirflowFailException, match=f"input.{[*wording][-1]} names no field, so no document of open"):
        night(input=wording).prepare()


def test_what_a_template_names_and_a_document_does_not_have_is_empty(
    index: Index, night: Night, server: Server
) -> None:
    """Python would say None, and print a list."""
    documents: dict[str, dict[str, Any]] = {
        "half": {"title": "only a title"},
        "null": {"title": None, "body": "only a body"},
    }
    index.add({**documents, "none": {"title": None}, "blank": {"title": " ", "body": ""}})
    run = night(input={"prompt": "{title}\n{body}"})
    assert run.through()["written"]["written"] == 2
    assert (run.plan["records"], run.plan["empty"]) == (2, 2)
    hits = index.hits
    for name, text in (("half", "only a title\n"), ("null", "\nonly a body")):
        assert hits[name]["_source"]["vector"] == pytest.approx(embedded(server, text), abs=1e-6)


def test_a_list_in_a_template_is_a_bad_row_that_is_told_once(index: Index, night: Night) -> None:
    """Once it is mended it was written, and comes by itself."""
    index.add({**articles(20), "list": {"title": "t", "body": ["one", "two"]}})
    skipping = {"prompt": "{title} {body}", "bad_rows": "skip"}
    run = night(input=skipping)
    assert run.through()["written"]["written"] == 20
    assert run.plan["bad_rows"] == 1
    second = night("night-2", input=skipping)
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"], "bad_rows" in second.plan) == (0, 20, False)
    index.edit("list", body="one and two")
    assert night("night-3", input=skipping).through()["written"]["written"] == 1


@pytest.mark.parametrize("beside", [{}, {"provenance_index": "provenance"}])
def test_a_vector_that_somebody_has_taken_away_is_made_again(
    index: Index, night: Night, beside: dict[str, str]
) -> None:
    """What was noted of it is still there."""
    index.cluster.names += beside.values()
    index.add(articles(6))
    night(write_back=beside).through()
    index.edit("a1", vector=None)
    index.edit("a2", title="another title")
    second = night("night-2", write_back=beside)
    assert second.through()["written"]["written"] == 1
    assert (second.plan["records"], second.plan["unchanged"]) == (1, 5)
    assert all(hit["_source"]["vector"] for hit in index.hits.values())
    third = night("night-3", write_back={"read": "all", **beside})
    third.prepare()
    assert (third.plan["records"], third.plan["unchanged"]) == (0, 6)


def test_a_copy_without_the_vectors_is_filled_though_what_was_noted_came_along(index: Index, night: Night) -> None:
    index.add(articles(6))
    night().through()
    copy = index.cluster.index("copy", shards=2)
    copy.add({name: {**hit["_source"], "vector": None} for name, hit in index.hits.items()})
    run = night("night-2")
    run.index = copy
    assert run.through()["written"]["written"] == 6


def test_documents_of_one_id_are_told_apart_by_their_routing(index: Index, night: Night) -> None:
    """Of an index that answers with few hits few ids are asked about at once."""
    index.add({**articles(10), "a11": {"body": "the text of the other a1"}}, routing="red")
    night().through()
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.max_result_window": 4})
    made = index.cluster.ok("GET", f"/{index.name}/_doc/a11?routing=red")["_source"]
    index.add({"a11": {**made, "vector": None}}, routing="green")  # in another shard than red
    of_both = {"query": {"ids": {"values": ["a11"]}}}
    assert index.cluster.ok("POST", f"/{index.name}/_count", of_both)["count"] == 2
    run = night("night-2", write_back={"read": "all"})
    assert run.through()["written"]["written"] == 1
    assert (run.plan["records"], run.plan["unchanged"]) == (1, 11)


IN_OBJECTS: dict[str, Any] = {
    **FIELDS,
    "about": {"properties": {"text": {"properties": {"body": {"type": "text"}}}}},
}


@pytest.mark.parametrize("asked", [{"text_field": "about.text.body"}, {"prompt": "{about[text][body]}"}])
def test_a_text_in_an_object_is_sent_however_its_keys_are_written(
    index: Index, night: Night, server: Server, asked: dict[str, str]
) -> None:
    other = index.cluster.index("in-objects", fields=IN_OBJECTS)
    other.add(
        {
            "nested": {"about": {"text": {"body": "T"}}},
            "half": {"about": {"text.body": "T"}},
            "other half": {"about.text": {"body": "T"}},
            "dotted": {"about.text.body": "T"},
        }
    )
    run = night(input=asked)
    run.index = other
    assert run.through()["written"]["written"] == 4
    for hit in other.hits.values():
        assert hit["_source"]["vector"] == pytest.approx(embedded(server, "T"), abs=1e-6)


@pytest.mark.parametrize("asked", [{"text_field": "about.text.body"}, {"prompt": "{about[text][body]}"}])
def test_a_text_in_a_list_of_objects_is_a_bad_row_and_not_without_text(
    index: Index, night: Night, asked: dict[str, str]
) -> None:
    other = index.cluster.index("in-objects", fields=IN_OBJECTS)
    other.add(
        {
            "one": {"about": {"text": {"body": "one"}}},
            "many": {"about": {"text": [{"body": "one"}, {"body": "two"}]}},
            "outer": {"about": [{"text": {"body": "three"}}]},
            "none": {"about": {"text": []}},
            "null": {"about": None},
        }
    )
    run = night(input=asked)
    run.index = other
    with pytest.raises(
        AirflowFailException, match=r"2 bad rows of 3[\s\S]*'about.text.body' holds a list, and no text"
    ):
        run.prepare()
    skipping = night("night-2", input={**asked, "bad_rows": "skip", "max_bad_fraction": 0.9})
    skipping.index = other
    report = skipping.through()
    assert (report["answered"], report["bad_rows"], skipping.plan["empty"]) == (1, 2, 2)
    (failures,) = [entry["uri"] for entry in skipping.run.manifest["files"] if entry["kind"] == "failures"]
    assert {row["id"] for row in lines_of(failures)} == {"many", "outer"}


def test_a_list_where_a_template_asks_for_an_object_is_a_bad_row(index: Index, night: Night) -> None:
    other = index.cluster.index("in-objects", fields=IN_OBJECTS)
    other.add({"a": {"title": "t", "about": [{"text": {"body": None}}]}, "b": {"title": "t", "about": None}})
    run = night(input={"prompt": "{title}{about[text][body]}"})
    run.index = other
    with pytest.raises(AirflowFailException, match=r"1 bad row of 2[\s\S]*'about' "):
        run.prepare()


@pytest.mark.parametrize("beside", [{}, {"provenance_index": "provenance"}])
def test_two_flows_of_a_run_fill_one_index_and_neither_takes_the_others_vectors_for_its_own(
    index: Index, night: Night, beside: dict[str, str]
) -> None:
    days = {"titles": "2026-01-01", "bodies": "2026-01-02"}
    index.cluster.names += beside.values()
    index.add({name: {**each, "day": days["titles"]} for name, each in articles(3).items()})
    index.add({"late": {"body": "of the next day", "day": days["bodies"]}})
    flows = {}
    for name, day in days.items():
        flows[name] = night(input={"query": {"term": {"day": day}}}, write_back=beside)
        flows[name].prepared_by = f"{name}.prepare_input"
    assert [flow.through()["written"]["written"] for flow in flows.values()] == [3, 1]
    assert index.vectors == {"a0", "a1", "a2", "late"}
    for name, own in {"titles": 3, "bodies": 1}.items():
        with pytest.raises(AirflowFailException, match=f"this run has written {own} vectors"):
            flows[name].prepare()


@pytest.mark.parametrize("limit", [{"max_bytes": 500}, {"max_tokens": 100}, {"max_enqueued_tokens": 100}])
def test_a_document_too_large_for_a_shard_is_read_again_under_another_limit(
    index: Index, night: Night, limit: dict[str, int]
) -> None:
    index.add({**articles(3), "long": {"body": "many words " * 100}})
    skipping = {"bad_rows": "skip", "max_bad_fraction": 0.5}
    run = night(input=skipping, limits=limit)
    assert (run.through()["written"]["written"], run.plan["bad_rows"]) == (3, 1)
    same = night("night-2", input=skipping, limits=limit)
    same.prepare()
    assert "bad_rows" not in same.plan, "it was not read"
    raised = night("night-3", input=skipping, limits={name: 10 * most for name, most in limit.items()})
    assert raised.through()["written"]["written"] == 1
    assert index.vectors == {"a0", "a1", "a2", "long"}


def test_a_text_field_may_have_any_name(index: Index, night: Night) -> None:
    named: dict[str, Any] = {"document": {"type": "text"}, "text_hash": {"type": "text"}}
    other = index.cluster.index("odd-names", fields={**FIELDS, **named})
    other.add({"a": {"document": "a text", "text_hash": "another"}})
    run = night(input={"prompt": "{document} {text_hash}"})
    run.index = other
    assert run.through()["written"]["written"] == 1
    second = night("night-2", input={"prompt": "{document} {text_hash}"})
    second.index = other
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"]) == (0, 1)


def test_a_longer_cut_means_every_text_again(index: Index, night: Night) -> None:
    index.add(articles(5))
    night(input={"too_long": "truncate", "max_text_tokens": 3}).through()
    second = night("night-2", input={"too_long": "truncate", "max_text_tokens": 300})
    second.prepare()
    assert (second.plan["records"], second.plan["unchanged"]) == (5, 0)


def test_vectors_that_nobody_noted_a_model_of_are_refused(index: Index, night: Night) -> None:
    vector = [0.1] * DIMENSIONS
    index.add({**articles(5), "old": {"body": "a text", "vector": vector}})
    with pytest.raises(AirflowFailException, match="1 documents have vectors of another model .* or of an unknown one"):
        night().prepare()


def test_a_run_that_has_written_is_not_prepared_again(index: Index, night: Night) -> None:
    """It would find its own documents unchanged, and its report would miss what has landed."""
    index.add(articles(5))
    run = night()
    report = run.through()
    manifest = run.run.manifest
    with pytest.raises(AirflowFailException, match="has written 5 vectors .* before"):
        run.prepare()
    assert (run.run.manifest, report["answered"]) == (manifest, 5)


def test_documents_without_text_are_counted_and_left_alone(index: Index, night: Night) -> None:
    index.add({**articles(5), "none": {"title": "t"}, "null": {"body": None}, "blank": {"body": "  "}})
    run = night()
    run.through()
    assert (run.plan["records"], run.plan["empty"]) == (5, 3)
    assert index.vectors == set(articles(5))


def test_a_query_chooses_the_documents(index: Index, night: Night) -> None:
    days = {f"d{n}": {"body": f"text {n}", "day": f"2026-01-{n:02d}"} for n in range(1, 10)}
    index.add(days)
    query = {"range": {"day": {"gte": "2026-01-03", "lt": "2026-01-05"}}}
    assert night(input={"query": query}).through()["written"]["written"] == 2
    assert index.vectors == {"d3", "d4"}


def test_each_run_fills_the_day_of_its_interval(index: Index, night: Night) -> None:
    """By its partition: from midnight up to the next, and not that one. In a backfill the later day may come first."""
    moments = ("2026-01-29T23:59:59.999Z", "2026-01-30T00:00:00Z", "2026-01-30T23:59:59.999Z", "2026-01-31T00:00:00Z")
    index.add({f"d{n}": {"body": f"text {n}", "day": moment} for n, moment in enumerate(moments)})
    window = {"query": {"range": {"day": {"gte": "{partition}", "lt": "{partition}||+1d"}}}}
    run = night("of the 30th", input=window)
    run.run.conf = {"partition": "2026-01-30"}
    assert run.through()["written"]["written"] == 2
    assert index.vectors == {"d1", "d2"}
    run = night("of the 29th, later", input=window)
    run.run.conf = {"partition": "2026-01-29"}
    assert run.through()["written"]["written"] == 1
    assert index.vectors == {"d0", "d1", "d2"}


def test_a_routed_document_gets_its_own_vector(index: Index, night: Night) -> None:
    for n, (name, source) in enumerate(articles(30).items()):
        index.add({name: source}, routing=f"team {n % 5}")
    assert night().through()["written"]["written"] == 30
    assert index.vectors == set(articles(30))


ODD_IDS = (
    "a b", "a/b", "..", "%2F", "#1", "?x=1&y=2", "+", '"quoted"', "it's", "back\\slash", "{title}", "${HOME}", "[0]",
    "*", "_all", "-1", "1e5", "null", "été", "日本語", "👩\u200d🔬", "e\u0301", "line\nbreak", "tab\t", "<b>",
    "i" * 512,
)  # fmt: skip


def test_ids_of_any_characters(index: Index, night: Night, server: Server) -> None:
    """Through batch, results, bulk request, checkpoint and look at conflicts; each with the vector of its own text."""
    texts = {name: {"body": f"the text of document {n}"} for n, name in enumerate(ODD_IDS)}
    index.add(texts)
    server.fault("fail_rows", ids=["a/b"])
    run = night(limits={"max_failed_fraction": 0.5})
    landed = run.land(run.prepare())
    run.write(landed)
    assert run.write(landed)[0]["written"] == len(ODD_IDS) - 1, "again: found by their ids"
    run.report(landed)
    assert night("night-2").through()["written"]["written"] == 1
    hits = index.hits
    assert index.vectors == set(ODD_IDS)
    for name in ODD_IDS:
        assert hits[name]["_source"]["vector"] == pytest.approx(embedded(server, texts[name]["body"]), abs=1e-6)


def test_ids_that_no_run_can_name_are_bad_rows(index: Index, night: Night) -> None:
    """Blanks, and a NUL: no database of Airflow's takes it."""
    index.add({**articles(20), " ": {"body": "of a blank"}, "a\x00": {"body": "of a NUL"}})
    skipping = night(input={"bad_rows": "skip", "max_bad_fraction": 0.5})
    report = skipping.through()
    assert (report["written"]["written"], report["bad_rows"]) == (20, 2)
    assert index.vectors == set(articles(20))


def test_each_index_of_an_alias_gets_its_own_vectors(index: Index, night: Night) -> None:
    other = index.cluster.index("articles-old", shards=1)
    index.add(articles(10))
    other.add(articles(10))
    add = [{"add": {"index": name, "alias": "all-articles"}} for name in (index.name, other.name)]
    index.cluster.ok("POST", "/_aliases", {"actions": add})
    run = night()
    run.settings["input"] = {"uri": "opensearch://corpus/all-articles"}
    assert run.through()["written"]["written"] == 20
    assert index.vectors == other.vectors == set(articles(10))
