"""What stands in the way of an alias's move: a clear error with the line to paste, and the alias stays where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.operators import PrepareInputOperator, SwapAliasOperator, WriteBackOperator
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec
from tests.index.bench import Cluster, Index, articles
from tests.index.beside import ALIAS, Beside, behind, lead
from tests.sandbox.bench import Server

Change = Callable[..., Beside]
LINE = re.compile(r"POST _aliases (\{.*?\}\]\})")


def refusal(step: Callable[[], Any]) -> str:
    with pytest.raises(AirflowException) as refused:
        step()
    return str(refused.value)


def paste(cluster: Cluster, said: str) -> None:
    """Send the lines of an error."""
    lines = LINE.findall(said)
    assert lines, said
    for line in lines:
        cluster.ok("POST", "/_aliases", json.loads(line))


def test_an_index_is_no_alias(aliased: Index, change: Change, server: Server) -> None:
    said = refusal(change(input={"uri": aliased.uri}).make)
    assert "'articles-old' is an index, and only an alias can be moved" in said
    paste(aliased.cluster, said)
    assert behind(aliased.cluster, "articles-old-live") == {"articles-old"}
    assert server.uploads() == []


def test_an_alias_of_several_indices_is_refused(aliased: Index, change: Change) -> None:
    lead(aliased.cluster, ALIAS, aliased.cluster.index("articles-second"))
    said = refusal(change().make)
    assert "leads to 2 indices (articles-old, articles-second)" in said
    paste(aliased.cluster, said)
    assert change().make()


def test_a_query_is_refused(aliased: Index, change: Change) -> None:
    """The documents that it leaves out would have no vector behind the alias."""
    run = change(input={"query": {"term": {"day": "2026-01-02"}}})
    assert "those that the query leaves out would have no vector" in refusal(run.make)


def test_a_filter_with_a_placeholder_of_specs_is_refused_before_an_index_is_made(
    aliased: Index, change: Change
) -> None:
    lead(aliased.cluster, ALIAS, aliased, filter={"regexp": {"title": "[a-z]{3}"}})
    run = change()
    assert "the filter of alias live has {3}" in refusal(run.make)
    assert run.new is None


def test_a_copy_that_is_cleared_after_the_swap_brings_nothing_back(aliased: Index, change: Change) -> None:
    run = change()
    run.through()
    assert run.copy() == {"copied": 0, "there": 0}


def test_an_alias_that_is_not_there_is_refused(change: Change) -> None:
    assert "there is no alias 'absent'" in refusal(change(input={"uri": "opensearch://corpus/absent"}).make)


def test_a_field_that_is_not_there_is_refused_before_an_index_is_made(aliased: Index, change: Change) -> None:
    run = change(input={"text_field": "boddy"})
    assert "has no field 'boddy'; it has body" in refusal(run.make)
    assert run.new is None


def test_an_index_that_does_not_keep_all_of_source_is_refused(cluster: Cluster, change: Change) -> None:
    lead(cluster, "part", cluster.index("articles-part", _source={"excludes": ["vector"]}))
    run = change()
    run.alias = "part"
    assert "cannot be copied" in refusal(run.make)


def test_an_index_of_that_name_that_is_not_ours_is_left_alone(aliased: Index, change: Change) -> None:
    run = change()
    run.make()
    name = run.new_index.name
    aliased.cluster.delete(name)
    other = aliased.cluster.index(name)
    other.add(articles(1))
    said = refusal(change().make)
    assert f"an index {name} exists, and this run did not make it. If nobody needs it, DELETE {name}" in said
    assert set(other.hits) == {"a0"}


def test_an_alias_moved_by_somebody_else_stays_there(aliased: Index, change: Change) -> None:
    run = change()
    run.filled()
    other = aliased.cluster.index("articles-by-hand")
    moved = [{"remove": {"index": aliased.name, "alias": ALIAS}}, {"add": {"index": other.name, "alias": ALIAS}}]
    aliased.cluster.ok("POST", "/_aliases", {"actions": moved})
    said = refusal(run.carry)
    assert "leads to articles-by-hand, and no longer to articles-old" in said
    assert behind(aliased.cluster) == {other.name}
    paste(aliased.cluster, said)
    run.carry()
    run.swap()
    assert behind(aliased.cluster) == {run.new_index.name}


def test_an_alias_moved_in_the_very_last_moment_stays_there(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All actions of the request are done, or none: the remove must find the alias."""
    run = change()
    run.filled()
    run.carry()
    other = aliased.cluster.index("articles-by-hand")
    send = MLCommonsHook.send

    def overtaken(hook: MLCommonsHook, call: Call) -> Any:
        if call.path == "/_aliases":
            moved = [
                {"remove": {"index": aliased.name, "alias": ALIAS}},
                {"add": {"index": other.name, "alias": ALIAS}},
            ]
            aliased.cluster.ok("POST", "/_aliases", {"actions": moved})
        return send(hook, call)

    monkeypatch.setattr(MLCommonsHook, "send", overtaken)
    assert "somebody else moved it a moment ago, and nothing was changed" in refusal(run.swap)
    assert behind(aliased.cluster) == {other.name}


def test_a_second_index_under_the_alias_is_named(aliased: Index, change: Change) -> None:
    """A restore with aliases puts a copy under the living alias."""
    run = change()
    run.filled()
    lead(aliased.cluster, ALIAS, aliased.cluster.index("articles-restored"))
    said = refusal(run.carry)
    assert "leads to articles-old, articles-restored; it led to articles-old alone" in said
    paste(aliased.cluster, said)
    run.carry()
    lead(aliased.cluster, ALIAS, Index(aliased.cluster, "articles-restored"))
    said = refusal(run.swap)
    paste(aliased.cluster, said)
    run.swap()
    assert behind(aliased.cluster) == {run.new_index.name}


def test_an_old_index_made_again_is_not_read(aliased: Index, change: Change) -> None:
    run = change()
    run.filled()
    aliased.cluster.delete(aliased.name)
    aliased.cluster.index(aliased.name)
    lead(aliased.cluster, ALIAS, aliased)
    assert "another index than was read" in refusal(run.carry)
    assert behind(aliased.cluster) == {aliased.name}


def test_a_write_block_of_the_new_index_is_named(aliased: Index, change: Change) -> None:
    run = change()
    run.make()
    name = run.new_index.name
    aliased.cluster.ok("PUT", f"/{name}/_settings", {"index.blocks.write": True})
    assert "Lift the block, and clear this task" in refusal(run.copy)
    aliased.cluster.ok("PUT", f"/{name}/_settings", {"index.blocks.write": None})
    assert run.copy() == {"copied": 40, "there": 0}


def test_an_old_index_that_takes_no_writes_is_read_all_the_same(aliased: Index, change: Change) -> None:
    """Who blocks its writes has no moment between the last look and the move."""
    aliased.cluster.ok("PUT", f"/{aliased.name}/_settings", {"index.blocks.write": True})
    run = change()
    run.through()
    assert run.new_index.vectors == set(articles(40))
    run.new_index.edit("a0", title="the block did not come along")


def test_too_many_texts_without_a_vector_keep_the_alias_where_it_is(aliased: Index, change: Change) -> None:
    run = change()
    landed = run.filled()
    aliased.edit("a0", body="another text")
    run.carry()
    assert "1 of 40 documents with a text have no vector of it (a0)" in refusal(run.swap)
    with pytest.raises(AirflowFailException, match="the alias was not moved"):
        run.report(landed)
    assert behind(aliased.cluster) == {aliased.name}
    run.settings["write_back"] = {"max_without_vector": 0.1}
    run.run.xcoms["prepare_input", "spec"]["write_back"]["max_without_vector"] = 0.1
    run.swap()
    assert behind(aliased.cluster) == {run.new_index.name}


def test_rows_that_failed_keep_the_alias_where_it_is(aliased: Index, change: Change, server: Server) -> None:
    server.fault("fail_rows", ids=["a3"])
    run = change(write_back={"max_without_vector": 1.0})
    run.filled()
    run.carry()
    assert "1 of 40 rows have no vector, and limits.max_failed_fraction allows 0.00%" in refusal(run.swap)
    assert behind(aliased.cluster) == {aliased.name}


def test_another_number_of_documents_keeps_the_alias_where_it_is(aliased: Index, change: Change) -> None:
    run = change(write_back={"max_without_vector": 0.1})
    run.filled()
    run.carry()
    run.new_index.remove("a0")
    assert f"articles-old has 40 documents and {run.new_index.name} 39" in refusal(run.swap)
    assert behind(aliased.cluster) == {aliased.name}


@pytest.mark.parametrize(("mode", "wired"), [("beside", "in_place"), ("in_place", "beside")])
def test_a_dag_wired_for_the_other_mode_is_refused(aliased: Index, change: Change, mode: str, wired: str) -> None:
    run = change()
    spec = {**run.spec, "write_back": {"vector_field": "vector", "mode": wired}}
    with DAG("other_mode", schedule=None) as dag:
        batch_inference(BatchSpec.check(spec))
    prepare: Any = dag.get_task("prepare_input")
    prepare.spec, prepare.overrides = {**spec, "write_back": {"vector_field": "vector", "mode": mode}}, None
    assert f"write_back.mode is {mode}, and the tasks of this DAG are for another" in refusal(
        lambda: run.run.execute(prepare)
    )


def test_a_task_that_writes_and_knows_no_new_index_is_refused(aliased: Index, change: Change, server: Server) -> None:
    run = change()
    run.make()
    run.copy()
    landed = run.land(run.prepare())
    blind = WriteBackOperator(task_id="write_back", spec=run.resolved, landed=landed, plan=run.plan)
    assert "mode: beside needs new_index=, the XCom new_index of the MakeIndexOperator" in refusal(
        lambda: run.run.execute(blind)
    )
    jobs = len(server.ledger)
    with DAG("by_hand", schedule=None) as dag:
        prepare = PrepareInputOperator(task_id="prepare_input", spec=run.spec, overrides=run.made)
        write = WriteBackOperator(task_id="write_back", spec=run.spec, landed=[], plan={})
        swap = SwapAliasOperator(task_id="swap", spec=run.spec, new_index={}, carried_over={}, plan={})
        prepare >> write >> swap
    assert dag.get_task("prepare_input") is prepare
    assert "needs new_index=" in refusal(lambda: run.run.execute(prepare))
    assert len(server.ledger) == jobs


def test_an_alias_that_a_template_gives_the_new_index_is_named(
    aliased: Index, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches by the alias would find each document twice."""
    send = MLCommonsHook.send

    def by_template(hook: MLCommonsHook, call: Call) -> Any:
        answer = send(hook, call)
        if call.name.startswith("create index"):
            name = call.path.strip("/")
            aliased.cluster.names.append(name)
            lead(aliased.cluster, ALIAS, Index(aliased.cluster, name))
        return answer

    monkeypatch.setattr(MLCommonsHook, "send", by_template)
    assert "was made with the alias live, which an index template gives" in refusal(change().make)


def test_aliases_of_a_read_only_index_stay_and_the_line_is_named(aliased: Index, change: Change) -> None:
    run = change()
    run.filled()
    run.carry()
    settings = f"/{aliased.name}/_settings"
    aliased.cluster.ok("PUT", settings, {"index.blocks.read_only": True})
    said = refusal(run.swap)
    assert 'PUT articles-old/_settings {"index.blocks.read_only": null}' in said
    assert behind(aliased.cluster) == {aliased.name}
    aliased.cluster.ok("PUT", settings, {"index.blocks.read_only": None})
    run.swap()
    assert behind(aliased.cluster) == {run.new_index.name}
