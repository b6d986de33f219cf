"""The provenance in an object that has fields of its owner's: those are the owner's for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.index.bench import FIELDS, PROVENANCE, Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, Beside, lead
from tests.index.test_erase import erase, found_in
from tests.sandbox.bench import MODEL, Run, Server

Change = Callable[..., Beside]

OURS = PROVENANCE["properties"]
INFO = {"properties": {**OURS, "source": {"type": "keyword"}}}
OLD = {"model": "old", "text_hash": "of-old", "run": "of-old"}


@pytest.fixture
def aliased(cluster: Cluster) -> Index:
    """Five articles with vectors of an old model, and one without a text."""
    made = cluster.index("articles-old", fields={**FIELDS, "info": INFO})
    vector = {"vector": [0.5] * 8}
    made.add({name: {**source, **vector, "info": {**OLD, "source": "crm"}} for name, source in articles(5).items()})
    made.add({"bare": {"title": "no text", "info": {"source": "crm"}}})
    made.add({"ours": {"title": "no text", "info": OLD}})
    lead(cluster, ALIAS, made)
    return made


@pytest.fixture
def change(tmp_path: Any, aliased: Index, server: Server) -> Change:
    model_id = server.model()

    def begun(run_id: str = "change-1", **back: Any) -> Beside:
        settings = {"write_back": {"provenance_field": "info", "on_model_change": "replace", **back}}
        return Beside(Run(tmp_path, run_id), aliased, model_id, settings)

    return begun


def told(index: Index) -> dict[str, Any]:
    return {name: hit["_source"].get("info") for name, hit in index.hits.items()}


def test_the_owners_fields_go_along_to_the_new_index_and_back(aliased: Index, change: Change) -> None:
    run = change()
    run.through(lambda: aliased.edit("a1", info={"source": "edited"}))
    found = told(run.new_index)
    assert {name: info["source"] for name, info in found.items() if name != "ours"} == {
        **dict.fromkeys(("a0", "a2", "a3", "a4", "bare"), "crm"),
        "a1": "edited",
    }
    assert {info["model"] for name, info in found.items() if name in articles(5)} == {MODEL}
    assert (found["bare"], found["ours"]) == ({"source": "crm"}, None)
    mapping = aliased.cluster.ok("GET", f"/{run.new_index.name}/_mapping")[run.new_index.name]["mappings"]
    assert mapping["properties"]["info"] == INFO
    run.new_index.edit("a2", info={"source": "after the swap"})
    run.back()
    found = told(aliased)
    assert (found["a2"], found["a3"]) == ({**OLD, "source": "after the swap"}, {**OLD, "source": "crm"})


def test_forgetting_a_text_leaves_the_owners_fields(aliased: Index, change: Change) -> None:
    run = change(mode="in_place")
    fill = Fill(run.run, aliased, run.model_id, run.settings)
    fill.through()
    again = Fill(Run(run.run.folder, "night-2"), aliased, run.model_id, run.settings)
    assert erase(again, ["a1"], forget="text")["state"] == "erased"
    assert told(aliased)["a1"] == {**dict.fromkeys(OURS), "source": "crm"}
    assert found_in(erase(again, ["a1"], "erasure-2", forget="text"))["index"] == 0


def test_a_field_that_is_no_object_is_not_taken_from_its_owner(aliased: Index, change: Change) -> None:
    with pytest.raises(AirflowFailException, match="'title' is of type text, and no object. Name another field"):
        change(provenance_field="title").make()
