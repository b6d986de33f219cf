"""Erasure while an index is filled beside, and after such a run was given up: its index has the documents too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused
from tests.index.bench import Index, articles
from tests.index.beside import ALIAS, Beside
from tests.index.test_erase import SECRET, at_the_provider, erase, files_with
from tests.sandbox.bench import Server

Change = Callable[..., Beside]


def looked_in(proof: dict[str, Any]) -> dict[str, int]:
    places = [place for place in proof["places"] if place["kind"] == "index"]
    return {place["at"].rpartition("/")[2]: place["found"] for place in places}


@pytest.fixture
def person(aliased: Index) -> Index:
    aliased.add({"person": {"title": "a person", "body": SECRET}})
    return aliased


def test_between_copy_and_preparation_the_run_is_refused_by_its_index(
    person: Index, change: Change, server: Server, tmp_path: Path
) -> None:
    run = change()
    run.make()
    run.copy()
    name = run.new_index.name
    with pytest.raises(AirflowFailException, match=f"{name}, which by_hand/change-1 .*DELETE {name}.*Nothing was rem"):
        erase(run, ["person"])
    planned = erase(run, ["person"], "plan", remove=False)
    assert looked_in(planned) == {person.name: 1, name: 1}
    assert name in planned["not_removed"][0]["what"]
    assert "person" in person.hits
    landed = run.land(run.prepare())
    run.write(landed)
    run.carry()
    run.swap()
    run.report(landed)
    assert erase(run, ["person"])["state"] == "erased"
    assert set(person.hits) == set(run.new_index.hits) == set(articles(40))
    assert files_with(tmp_path, SECRET) == [text for text in at_the_provider(server) if SECRET in text] == []


def test_a_copy_under_way_may_have_any_document(person: Index, change: Change) -> None:
    """Its point in time has documents that are gone from the old index."""
    run = change()
    run.make()
    with pytest.raises(AirflowFailException, match=f"{run.new_index.name}, which by_hand/change-1"):
        erase(run, ["nobody"])
    run.copy()
    run.prepare()
    assert erase(run, ["nobody"])["state"] == "erased"


def test_a_cancelled_run_has_no_index_any_more(person: Index, change: Change) -> None:
    run = change()
    run.make()
    run.copy()
    assert erase(run, ["person"], unfinished="cancel")["state"] == "erased"
    assert person.cluster.http.head(f"/{run.new_index.name}").status_code == 404
    assert set(person.hits) == set(articles(40))
    with pytest.raises(AirflowFailException, match="no such index"):
        run.prepare()


def test_the_index_of_a_run_that_was_given_up_is_looked_in_by_any_later_one(person: Index, change: Change) -> None:
    """Also by a spec that fills in place, and once the alias has moved to the index of another run."""
    given_up, later = change("given-up"), change("change-2")
    given_up.make()
    given_up.copy()
    later.through()
    in_place = change("night", write_back={"mode": "in_place"})
    for run in (later, in_place):
        with pytest.raises(AirflowFailException, match=f"DELETE {given_up.new_index.name}"):
            erase(run, ["person"])
    person.cluster.delete(given_up.new_index.name)
    assert erase(later, ["person"])["state"] == "erased"
    assert set(person.hits) == set(later.new_index.hits) == set(articles(40))


def test_kept_indices_are_known_by_their_notes_where_the_manifests_are_gone(
    person: Index, change: Change, tmp_path: Path
) -> None:
    run = change()
    run.through()
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    proof = erase(run, ["person"])
    assert (proof["state"], looked_in(proof)) == ("erased", {person.name: 1, run.new_index.name: 1})
    assert set(person.hits) == set(run.new_index.hits) == set(articles(40))


def test_an_index_that_somebody_has_put_to_use_is_no_unfinished_run(person: Index, change: Change) -> None:
    run = change()
    run.make()
    run.copy()
    person.cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": run.new_index.name, "alias": "mine"}}]})
    proof = erase(run, ["person"])
    assert (proof["state"], looked_in(proof)) == ("erased", {person.name: 1, run.new_index.name: 1})
    assert set(run.new_index.hits) == set(articles(40))


def test_a_user_who_may_not_see_such_indices_is_told_so(
    person: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He is refused where the spec's own runs make them."""
    send = MLCommonsHook.send

    def refusing(hook: MLCommonsHook, call: Call) -> Any:
        if f"/{ALIAS}-*" in call.path:
            raise Refused("no permissions for [indices:admin/get]", status=403)
        return send(hook, call)

    monkeypatch.setattr(MLCommonsHook, "send", refusing)
    with pytest.raises(AirflowFailException, match="no permissions"):
        erase(change(), ["person"])
    proof = erase(change(write_back={"mode": "in_place"}), ["person"])
    assert proof["state"] == "erased"
    assert any(each["what"].startswith("indices that a change of the model") for each in proof["not_removed"])


def test_an_index_made_for_another_alias_is_left_alone(person: Index, change: Change) -> None:
    """Its name begins alike."""
    other = person.cluster.index(f"{ALIAS}-others")
    other.add({"person": {"body": "of others"}})
    other.cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": other.name, "alias": f"{ALIAS}-too"}}]})
    run = change()
    run.alias, run.index = f"{ALIAS}-too", other
    run.make()
    run.copy()
    proof = erase(change("change-2"), ["person"])
    assert (proof["state"], looked_in(proof)) == ("erased", {person.name: 1})
    assert "person" in other.hits
    assert "person" in run.new_index.hits
