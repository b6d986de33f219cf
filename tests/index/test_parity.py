"""The gate: a sample of the written vectors against the model's online answers. It is open after an honest fill, and
shut where the index holds other vectors, or does not find them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster import online
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.operators import EraseOperator
from opensearch_batch.parity.sample import draw
from opensearch_batch.spec import BatchSpec
from tests.index.bench import DIMENSIONS, FIELDS, VECTOR, Fill, Index, articles
from tests.sandbox.bench import Run, Server

Night = Callable[..., Fill]


@pytest.fixture
def checked(night: Night, server: Server) -> Night:
    """A run of a spec with parity, whose model can be asked online."""
    server.model(name="fill", dimensions=DIMENSIONS)

    def begun(run_id: str = "night-1", parity: dict[str, Any] | None = None, **settings: Any) -> Fill:
        return night(run_id, parity={"sample": 40, "queries": 5, **(parity or {})}, **settings)

    return begun


def filled(run: Fill) -> Fill:
    shards = run.prepare()
    landed = run.land(shards)
    run.write(landed)
    run.run.xcoms["fetch", "return_value"] = landed
    return run


def reported(run: Fill) -> dict[str, Any]:
    return run.report(run.run.xcoms["fetch", "return_value"])


def predictions(server: Server) -> list[dict[str, Any]]:
    return [call for call in server.calls if call["path"] == "/v1/embeddings"]


def test_an_honest_fill_passes(index: Index, checked: Night, server: Server) -> None:
    index.add(articles(60))
    run = filled(checked())
    found = run.compare()
    assert (found["compared"], found["below"], found["shut"], found["queries"]) == (40, 0, "", 5)
    assert found["least_cosine"] == pytest.approx(1, abs=1e-6)
    assert found["recall"] == 1.0
    assert len(predictions(server)) == 40, "each prediction is paid"
    report = reported(run)
    assert report["parity"] == found
    assert run.run.manifest["report"]["parity"] == found


def test_a_run_draws_the_same_sample_again_and_another_run_another(index: Index, checked: Night) -> None:
    index.add(articles(60))
    run = filled(checked(parity={"sample": 10}))
    first, again = sampled(run), sampled(run)
    run.run.run_id = "night-2"
    assert first == again
    assert set(first) != set(sampled(run))


def sampled(run: Fill) -> list[str]:
    """Names of the sample that a run draws."""
    spec = BatchSpec.check(run.spec)
    assert spec.write_back
    assert run.index.hits, "refreshed"
    sample = draw(MLCommonsHook("corpus").send, spec, spec.write_back, [run.index.name], 10, run.run.run_id)
    return [document.name for document in sample.documents]


def shut(run: Fill, **how: Any) -> str:
    with pytest.raises(AirflowFailException) as refused:
        run.compare(**how)
    return str(refused.value)


def test_of_an_index_that_answers_with_few_hits_fewer_are_compared(index: Index, checked: Night) -> None:
    index.add(articles(60))
    run = filled(checked())
    index.cluster.ok("PUT", f"/{index.name}/_settings", {"index.max_result_window": 30})
    found = run.compare()
    assert (found["compared"], found["shut"]) == (30, "")


def test_one_number_changed_by_hand_shuts_the_gate(index: Index, checked: Night) -> None:
    index.add(articles(20))
    run = filled(checked())
    vector = index.hits["a7"]["_source"]["vector"]
    index.edit("a7", vector=[vector[0] + 0.5, *vector[1:]])
    assert "1 of 20 vectors are further than 0.999 (cosine) from the model's online answer, the first a7" in shut(run)
    with pytest.raises(AirflowFailException, match="the first a7"):
        reported(run)
    assert run.run.manifest["report"]["parity"]["named"] == ["a7"], "the manifest has the figures all the same"


def test_an_erased_document_is_named_by_no_check(index: Index, checked: Night, tmp_path: Path) -> None:
    index.add(articles(20))
    run = filled(checked())
    index.edit("a7", vector=index.hits["a7"]["_source"]["vector"][::-1])
    index.edit("a9", body="edited")
    shut(run)
    with pytest.raises(AirflowFailException):
        reported(run)
    Run(tmp_path, "erasure").execute(EraseOperator(task_id="erase", spec=run.spec, ids=["a7", "a9"], remove=True))
    found = run.run.manifest["report"]["parity"]
    assert (found["compared"], found["below"], found["named"], found["left_out"]) == (19, 1, [], {"edited": 1})
    assert found["shut"] == "1 of 19 vectors are further than 0.999 (cosine) from the model's online answer"
    left = [path for path in tmp_path.rglob("*") if path.is_file() and re.search(rb"\ba[79]\b", path.read_bytes())]
    assert left == []


def test_another_models_vectors_shut_it(index: Index, checked: Night) -> None:
    index.add(articles(20))
    run = filled(checked())
    for name, hit in index.hits.items():
        index.edit(name, vector=hit["_source"]["vector"][::-1])
    assert "20 of 20 vectors are further" in shut(run)


def test_vectors_that_were_made_by_another_model_are_not_compared(index: Index, checked: Night) -> None:
    index.add(articles(5))
    filled(checked(model={"name": "text-embedding-3-large"}))
    run = checked("night-2")
    assert "no document whose text can be embedded again has a vector of text-embedding-3-small" in shut(
        run, indices=[index.name]
    )


@pytest.mark.parametrize(
    "numbers",
    [["NaN", *range(7)], [1e39, *range(7)], [0.5] * 7, [0.0] * 8],
    ids=["no number", "not in single precision", "of another length", "all zeros"],
)
def test_an_online_answer_that_nothing_can_be_compared_with_shuts_the_gate(
    index: Index, checked: Night, server: Server, numbers: list[Any]
) -> None:
    """Nor is the index searched for it: the cluster would refuse the query."""
    index.add(articles(20))
    run = filled(checked())
    vector = {"name": "sentence_embedding", "shape": [len(numbers)], "data": numbers}
    answer = {"inference_results": [{"output": [vector]}]}
    server.fault("answer", path="/_predict", status=200, body=answer, times=1)
    assert "1 of 20 vectors are further than 0.999 (cosine) from the model's online answer, the first a" in shut(run)
    found = run.run.xcoms["check_parity", "parity"]
    assert (found["least_cosine"], found["below"], len(found["named"])) == (0.0, 1, 1)
    assert (found["queries"], found["recall"]) == (5, 1.0)
    assert found["greatest_length"] == pytest.approx(1)


def test_texts_that_an_online_call_would_fill_in_are_left_out_and_named(index: Index, checked: Night) -> None:
    index.add({**articles(10), "shell": {"body": "echo ${parameters.model} and ${HOME}"}})
    found = filled(checked()).compare()
    assert (found["compared"], found["below"]) == (10, 0)
    assert found["left_out_ids"] == {"with ${…} in the text": ["shell"]}


def test_documents_that_were_edited_since_are_not_compared(index: Index, checked: Night) -> None:
    index.add(articles(10))
    run = filled(checked())
    index.edit("a3", body="another text")
    assert run.compare()["left_out_ids"] == {"edited": ["a3"]}


def test_texts_are_cut_as_the_batch_cut_them(index: Index, checked: Night) -> None:
    index.add({"long": {"body": "one two three four five six seven eight nine ten"}})
    run = filled(checked(input={"too_long": "truncate", "max_text_tokens": 3}))
    assert run.compare()["least_cosine"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("indices", "when", "opens"),
    [(True, {}, False), (False, {}, True), (True, {"when_incomparable": "pass"}, True),
     (False, {"when_incomparable": "error"}, False)],
)  # fmt: skip
def test_a_model_that_answers_batches_only(
    index: Index, checked: Night, server: Server, indices: bool, when: dict[str, str], opens: bool
) -> None:
    """An error before an alias is moved, a warning after a nightly fill, unless the spec says otherwise."""
    index.add(articles(10))
    run = filled(checked(parity=when))
    refused = {"error": {"message": "this model has no online endpoint", "type": "invalid_request_error"}}
    server.fault("answer", path="/v1/embeddings", status=404, body=refused, times=-1)
    asked = [index.name] if indices else None
    if opens:
        found = run.compare(asked)
        assert found["compared"] == 0
        assert "no online endpoint" in found["why_not"]
    else:
        assert "nothing could be compared" in shut(run, indices=asked)
    assert len(predictions(server)) == 3, "the rest is not asked for"


def test_without_its_model_in_the_cluster_nothing_is_compared(index: Index, checked: Night) -> None:
    index.add(articles(10))
    run = filled(checked(model={"registered_as": "nobody"}))
    assert run.compare()["why_not"] == "the cluster has no model 'nobody'"


def test_a_throttled_model_is_waited_for(
    index: Index, checked: Night, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "FIRST_PAUSE_SECONDS", 0.01)
    index.add(articles(10))
    run = filled(checked())
    server.fault("answer", path="/v1/embeddings", status=429, body={"error": {"message": "slow down"}}, times=3)
    assert run.compare()["compared"] == 10
    assert len(predictions(server)) == 13


def test_an_index_that_does_not_find_its_own_neighbours_shuts_the_gate(index: Index, checked: Night) -> None:
    """Its graph is as poor as OpenSearch makes one; the sandbox has no graphs, and misses neighbours on order."""
    parameters = {"parameters": {"m": 2, "ef_construction": 2}}
    poor = index.cluster.index("poor", 1, {**FIELDS, "vector": {**VECTOR, "method": VECTOR["method"] | parameters}})
    poor.add(articles(2000))
    run = checked(parity={"sample": 20, "queries": 20, "k": 10})
    run.index = poor
    filled(run)
    if index.cluster.is_sandbox:
        index.cluster.ok("POST", "/_sandbox/faults", {"fault": "neighbours_missed", "count": 4, "times": 20})
    assert re.search(r"the index finds 0\.\d{3} of the 10 nearest documents with k 10, and", shut(run))


def test_an_alias_over_two_indices(index: Index, checked: Night) -> None:
    """Neighbours are looked for in the document's own index."""
    other = index.cluster.index("more-articles")
    index.add(articles(15))
    other.add(articles(15, begin=15))
    for name in (index.name, other.name):
        index.cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": name, "alias": "corpus"}}]})
    run = filled(checked(input={"uri": "opensearch://corpus/corpus"}))
    other.edit("a20", body="another text")
    found = run.compare()
    assert (found["compared"], found["recall"], found["below"]) == (29, 1.0, 0)
    assert found["left_out_ids"] == {"edited": ["more-articles/a20"]}


def test_vectors_are_fetched_by_their_documents_routing(index: Index, checked: Night) -> None:
    routed = index.cluster.index("routed-articles", _routing={"required": True})
    routed.add(articles(20), routing="a way")
    run = checked()
    run.index = routed
    assert filled(run).compare()["compared"] == 20


@pytest.mark.parametrize("space", ["cosinesimil", "l2", "innerproduct"])
def test_recall_by_each_space(index: Index, checked: Night, space: str) -> None:
    method = {**VECTOR["method"], "space_type": space}
    other = index.cluster.index(f"space-{space}", fields={**FIELDS, "vector": {**VECTOR, "method": method}})
    other.add(articles(30))
    run = checked()
    run.index = other
    assert filled(run).compare()["recall"] == 1.0
