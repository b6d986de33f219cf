"""A vector in an object of its document: what else lies there stays, and a list there is never replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.index.bench import FIELDS, PROVENANCE, VECTOR, Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, OLD, Beside, lead
from tests.index.chunks import CHUNKS
from tests.index.test_erase import erase
from tests.sandbox.bench import Run, Server

Night = Callable[..., Fill]

PASSAGES = [{"text": "the first passage"}, {"text": "the second passage"}]
META = {
    "properties": {
        "name": {"type": "keyword"},
        "embedding": VECTOR,
        "embedding_provenance": PROVENANCE,
        "chunks": CHUNKS,
        "inner": {"properties": {"name": {"type": "keyword"}, "embedding": VECTOR, "embedding_provenance": PROVENANCE}},
        **PROVENANCE["properties"],
    }
}
IN_META = {"write_back": {"vector_field": "meta.embedding"}}


@pytest.fixture
def index(cluster: Cluster) -> Index:
    nested = {"type": "nested", "properties": {"text": {"type": "text"}, **META["properties"]}}
    return cluster.index("articles", fields={**FIELDS, "meta": META, "passages": nested})


@pytest.mark.parametrize(
    ("settings", "parent"),
    [
        ({"write_back": {"vector_field": "passages.embedding"}}, "passages"),
        ({"write_back": {"vector_field": "passages.inner.embedding"}}, "passages"),
        ({"write_back": {"provenance_field": "passages.embedding_provenance"}}, "passages"),
        ({"write_back": {"provenance_field": "passages"}}, "passages"),
        ({"write_back": {"vector_field": "passages.embedding", "provenance_index": "side"}}, "passages"),
        (
            {
                "input": {"chunks": {"size": 20}},
                "write_back": {
                    "vector_field": "passages.chunks.embedding",
                    "provenance_field": "vector_provenance",
                },
            },
            "passages",
        ),
    ],
)
def test_a_nested_field_of_the_owner_is_refused(
    index: Index, night: Night, server: Server, settings: Any, parent: str
) -> None:
    index.cluster.names.append("side")
    index.add({"a": {"body": "a text", "passages": PASSAGES}})
    with pytest.raises(AirflowFailException, match=f"'{parent}' is nested, and a document's vector or provenance"):
        night(**settings).prepare()
    assert server.ledger == []
    assert index.hits["a"]["_source"]["passages"] == PASSAGES


def test_a_nested_field_of_the_owner_is_refused_before_documents_are_copied(
    index: Index, tmp_path: Any, server: Server
) -> None:
    lead(index.cluster, ALIAS, index)
    run = Beside(Run(tmp_path, "change-1"), index, server.model(), {"write_back": {"vector_field": "passages.vector"}})
    with pytest.raises(AirflowFailException, match="nothing was copied, and nothing sent: articles: 'passages' is nes"):
        run.make()


@pytest.mark.parametrize(
    ("settings", "source", "parent"),
    [
        (IN_META, {"meta": [{"name": "one"}, {"name": "two"}]}, "meta"),
        (IN_META, {"meta": {"name": "one", "embedding_provenance": [{}]}}, "meta.embedding_provenance"),
        ({"write_back": {"vector_field": "meta.inner.embedding"}}, {"meta": [{"name": "one"}]}, "meta"),
        ({"write_back": {"vector_field": "meta.inner.embedding"}}, {"meta": {"inner": [{}]}}, "meta.inner"),
        ({"write_back": {"provenance_field": "meta.embedding_provenance"}}, {"meta": [{"name": "one"}]}, "meta"),
        ({"write_back": {"provenance_field": "meta"}}, {"meta": [{"name": "one"}]}, "meta"),
        (
            {"write_back": {"vector_field": "meta.embedding", "provenance_index": "side"}},
            {"meta": [{"name": "one"}]},
            "meta",
        ),
        (
            {
                "input": {"chunks": {"size": 20}},
                "write_back": {"vector_field": "meta.chunks.embedding", "provenance_field": "vector_provenance"},
            },
            {"meta": [{"name": "one"}]},
            "meta",
        ),
    ],
)
def test_a_list_where_the_vector_goes_is_a_bad_row(
    index: Index, night: Night, server: Server, settings: dict[str, Any], source: Any, parent: str
) -> None:
    index.cluster.names.append("side")
    index.add({**articles(3), "list": {"body": "a text", **source}})
    with pytest.raises(AirflowFailException, match=f"'{parent}' is a list, which .* would replace"):
        night(**settings).prepare()
    assert server.ledger == []
    read = {**settings.get("input", {}), "bad_rows": "skip", "max_bad_fraction": 0.5}
    report = night("skipping", **{**settings, "input": read}).through()
    assert (report["written"]["written"], report["failed"]) == (3, 1)
    assert index.hits["list"]["_source"] == {"body": "a text", **source}


def test_other_fields_of_the_object_stay_and_what_holds_nothing_is_no_object_yet(index: Index, night: Night) -> None:
    index.add({"named": {"body": "one", "meta": {"name": "a"}}, "absent": {"body": "two"}})
    index.add({"null": {"body": "three", "meta": None}, "empty": {"body": "four", "meta": []}})
    assert night(**IN_META).through()["written"]["written"] == 4
    found = {name: hit["_source"]["meta"] for name, hit in index.hits.items()}
    made = {"embedding", "embedding_provenance"}
    assert {name: each.keys() - made for name, each in found.items()} == {
        "named": {"name"},
        **dict.fromkeys(("absent", "null", "empty"), set()),
    }
    assert all(made <= each.keys() for each in found.values())


def test_an_object_that_became_a_list_while_the_batch_was_out_is_left_alone(index: Index, night: Night) -> None:
    index.add({name: {"body": "a text", "meta": {"name": name}} for name in ("a", "b")})
    listed = {"body": "a text", "meta": [{"name": "b"}]}
    written = night(**IN_META).through(lambda: index.add({"b": listed}))["written"]
    assert (written["written"], written["superseded"], written["named"]) == (1, 1, ["b"])
    assert index.hits["b"]["_source"] == listed


def test_what_is_carried_over_has_its_vector_in_its_object_or_stays_as_it_is(
    index: Index, tmp_path: Any, server: Server
) -> None:
    """Over a null as over an object; a list that has come there is its owner's."""
    old = {"embedding": OLD["vector"], "embedding_provenance": OLD["vector_provenance"]}
    index.add({name: {"body": "a text", "meta": {"name": name, **old}} for name in (*"abc", *map(str, range(300)))})
    listed = [{"name": "one"}, {"name": "two"}]
    lead(index.cluster, ALIAS, index)
    run = Beside(Run(tmp_path, "change-1"), index, server.model(), IN_META)

    def meanwhile() -> None:
        index.edit("a", meta=None)
        index.edit("b", meta=listed)

    run.through(meanwhile)
    found = {name: hit["_source"].get("meta") for name, hit in run.new_index.hits.items()}
    assert (found["a"].keys(), found["b"]) == ({"embedding", "embedding_provenance"}, listed)
    run.new_index.edit("c", meta=None)
    run.back()
    found = {name: hit["_source"].get("meta") for name, hit in index.hits.items()}
    assert (found["a"], found["b"], found["c"]) == (None, listed, old)


def test_a_template_names_a_field_of_an_object_that_is_null_or_a_list(index: Index, night: Night) -> None:
    index.add({"a": {"body": "one", "meta": {"name": "a"}}, "b": {"body": "two", "meta": None}})
    index.add({"c": {"body": "three", "meta": [{"name": "c"}]}})
    with pytest.raises(AirflowFailException, match="'meta.name' holds a list, and no text"):
        night(input={"prompt": "{meta[name]} {body}"}).prepare()
    index.remove("c")
    assert night("night-2", input={"prompt": "{meta[name]} {body}"}).through()["written"]["written"] == 2


@pytest.mark.parametrize(
    ("settings", "path"),
    [(IN_META, "meta.embedding"), ({**IN_META, "input": {"text_field": "meta.name"}}, "meta.name")],
)
def test_forgetting_a_text_replaces_no_list(index: Index, night: Night, settings: Any, path: str) -> None:
    """The owner has made a list of the object with the vector."""
    index.add({"a": {"body": "a text", "meta": {"name": "a name"}}, "b": {"body": "a text", "meta": {"name": "b"}}})
    night(**settings).through()
    listed = {"meta": [{**index.hits["a"]["_source"]["meta"]}, {"name": "another"}]}
    index.add({"a": listed})
    for remove in (False, True):
        with pytest.raises(AirflowFailException, match=f"'meta' is a list in the document a, and forgetting {path}"):
            erase(night("night-2", **settings), ["a"], forget="text", remove=remove)
    assert index.hits["a"]["_source"] == listed
    assert erase(night("night-2", **settings), ["a"])["state"] == "erased"
    assert set(index.hits) == {"b"}
