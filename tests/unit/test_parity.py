"""From cosines and found neighbours to figures, and the model asked without haste."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused, SpecError, Throttled
from opensearch_batch.flow.parity import Parity
from opensearch_batch.parity.gate import with_lengths
from opensearch_batch.parity.online import embed
from opensearch_batch.parity.sample import seed_of
from opensearch_batch.parity.verdict import Incomparable, cosine, judged, recalled
from opensearch_batch.parity_section import ParitySection
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.prepare.vector_space import Lengths
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.cohere import provider as cohere
from opensearch_batch.spec import BatchSpec

SECTION = ParitySection()


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([1.0, 0.0], [2.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 3.0], 0.0),
        ([1.0, 0.0], [-1.0, 0.0], -1.0),
        ([1.0, 0.0], [1.0, 0.0, 0.0], 0.0),
        ([0.0, 0.0], [1.0, 0.0], 0.0),
        ([1.0, 0.0], [math.nan, 0.0], 0.0),
        ([1.0, 1.0], [math.inf, -math.inf], 0.0),
        ([1.0, 1.0], [1e154, 1e154], 0.0),
    ],
)
def test_cosine(one: list[float], other: list[float], found: float) -> None:
    assert cosine(one, other) == pytest.approx(found)


def test_a_vector_in_single_precision_is_near_enough() -> None:
    """A third has no end in either precision."""
    assert cosine([1 / 3] * 1536, [0.33333334] * 1536) > 1 - 1e-12


def test_recall_counts_equals_as_found() -> None:
    nearest = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert recalled(["a", "b", "c"], nearest, {}) == 1
    assert recalled(["a", "b", "x"], nearest, {"x": 0.6}) == pytest.approx(2 / 3)
    assert recalled(["a", "b", "x"], nearest, {"x": 0.7}) == 1, "as near as the last of them"
    assert recalled([], {}, {}) == 1


def test_recall_tells_small_scores_apart() -> None:
    """Those of l2 where vectors have lengths of a thousand, as vectors of whole numbers from -128 to 127 have."""
    nearest = {"a": 9e-7, "b": 8e-7}
    assert recalled(["a", "x"], nearest, {"x": 1e-7}) == 0.5
    assert recalled(["a", "x"], nearest, {"x": 8e-7}) == 1


def test_the_figures_of_an_open_gate() -> None:
    found = judged({"a": 1.0, "b": 0.9995}, [1.0, 0.9], {"edited": ["c"]}, SECTION)
    assert found == Parity(
        compared=2,
        least_cosine=0.9995,
        mean_cosine=pytest.approx(0.99975),  # type: ignore[arg-type]
        queries=2,
        recall=0.95,
        left_out={"edited": 1},
        left_out_ids={"edited": ["c"]},
    )
    assert str(found).startswith("parity: 2 documents embedded again, least cosine 0.999500, mean 0.999750, 0 below")


def test_lengths_and_what_they_mean_for_each_index() -> None:
    def described(space: str) -> dict[str, Any]:
        field = {"type": "knn_vector", "method": {"name": "hnsw", "engine": "lucene", "space_type": space}}
        return {"mappings": {"properties": {"vector": field}}, "settings": {"index": {"knn": "true"}}}

    indices = {"angles": described("cosinesimil"), "products": described("innerproduct")}
    found = with_lengths(Parity(compared=2), Lengths(2, 0.5, 3.0), indices, "vector")
    assert (found.compared, found.least_length, found.greatest_length) == (2, 0.5, 3.0)
    [doubt] = found.doubts
    assert doubt.startswith("products: 'vector' compares by innerproduct (lucene), and the model's vectors have")
    assert with_lengths(Parity(), Lengths(2, 1.0, 1.0), indices, "vector").doubts == []


def test_what_is_below_is_named_worst_first() -> None:
    found = judged({f"d{n}": 0.5 + n / 1000 for n in range(100)}, [], {}, SECTION)
    assert (found.below, found.named[:2], len(found.named)) == (100, ["d0", "d1"], 20)
    assert "100 of 100 vectors are further than 0.999 (cosine)" in found.shut


def test_too_low_a_recall() -> None:
    assert "finds 0.500 of the 10 nearest documents with k 100" in judged({"a": 1.0}, [0.5], {}, SECTION).shut
    assert judged({"a": 1.0}, [0.5], {}, ParitySection(least_recall=0.5)).shut == ""


@pytest.mark.parametrize(("when", "is_shut"), [("error", True), ("pass", False)])
def test_nothing_to_compare(when: Incomparable, is_shut: bool) -> None:
    found = judged({}, [], {}, SECTION, why_not="the model answers batches only", when_incomparable=when)
    assert bool(found.shut) is is_shut
    assert str(found) == "parity: nothing was compared: the model answers batches only"


def answers(*given: Any) -> Iterator[Any]:
    yield from given
    while True:
        yield [[1.0]]


def send_of(*given: Any) -> Any:
    found = answers(*given)

    def send(call: Call) -> Any:
        answer = next(found)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return send


def test_a_refused_text_is_one_and_three_are_the_model() -> None:
    refused = Refused("no")
    asked = [{"input": ["x"]}] * 6
    found = embed(send_of(refused, [[1.0]], refused), "m", asked)
    assert [answer.refusal for answer in found] == ["no", "", "no", "", "", ""]
    assert [answer.refusal for answer in embed(send_of(refused, refused, refused), "m", asked)] == ["no"] * 3


def test_an_answer_without_a_vector_says_what_the_connector_lacks() -> None:
    (found,) = embed(send_of([]), "m", [{"input": ["x"]}])
    assert "post_process_function" in found.refusal


def test_a_throttled_model_is_waited_for_and_not_for_ever() -> None:
    pauses: list[float] = []
    slow, slower = Throttled("slow down"), Throttled("slow down", retry_after_seconds=7)
    embed(send_of(slow, slow, slower), "m", [{"input": ["x"]}], pauses.append)
    assert pauses == [1, 2, 7]

    def never(call: Call) -> Any:
        raise slow

    with pytest.raises(Throttled):
        embed(never, "m", [{"input": ["x"]}], pauses.append)
    assert sum(pauses) < 3000


def test_a_seed_is_of_the_run_and_fits_32_bits() -> None:
    assert seed_of("dag/night-1") == seed_of("dag/night-1") != seed_of("dag/night-2")
    assert all(0 <= seed_of(f"run-{n}") < 1 << 31 for n in range(1000))


def test_models_that_know_questions_from_documents_are_asked_for_documents() -> None:
    """The connector's own default is the question's type."""
    connector = cohere.connector("n", "embed-v4.0", "/v1/embed", {}, "https://api.cohere.com")
    assert connector["parameters"]["online_input_type"] == "search_query"
    asked = cohere.online_parameters("x", "embed-v4.0", "/v1/embed", {})
    assert asked == {"texts": ["x"], "online_input_type": "search_document"}
    asked = bedrock.online_parameters("x", "cohere.embed-english-v3", "", {"input_type": "clustering"})
    assert asked == {"texts": ["x"], "online_input_type": "clustering"}
    assert bedrock.online_parameters("x", "anthropic.claude-3", "", {}) == {}


SPEC: dict[str, Any] = {
    "name": "fill",
    "model": {"name": "text-embedding-3-small"},
    "input": {"uri": "opensearch://c/i"},
    "output": {"uri": "file:///tmp/out"},
    "write_back": {"vector_field": "v"},
}


def test_the_check_is_wired_after_all_writes_and_before_the_report() -> None:
    with DAG("compared", schedule=None) as dag:
        batch_inference(BatchSpec.check({**SPEC, "parity": {}, "reuse": {"uri": "file:///tmp/r"}}))
    check = dag.get_task("check_parity")
    assert {"shard.write_back", "repair_1.write_back", "write_reused", "register_model"} <= check.upstream_task_ids
    assert check.downstream_task_ids == {"report"}
    assert check.trigger_rule == "none_failed", "it runs in a night without changes, too"
    report: Any = dag.get_task("report")
    assert report.compared_by == "check_parity"


def test_without_the_section_nothing_is_wired() -> None:
    with DAG("not_compared", schedule=None) as dag:
        batch_inference(BatchSpec.check(SPEC))
    assert not dag.has_task("check_parity")


def test_parity_needs_write_back() -> None:
    with pytest.raises(SpecError, match="parity compares vectors of an index: say write_back"):
        BatchSpec.check({**{name: SPEC[name] for name in ("name", "model", "input", "output")}, "parity": {}})


def test_before_an_alias_moves_the_check_stands_between_the_last_edits_and_the_move() -> None:
    beside = {"write_back": {"vector_field": "v", "mode": "beside"}, "parity": {}}
    with DAG("changed", schedule=None) as dag:
        batch_inference(BatchSpec.check({**SPEC, **beside}))
    check = dag.get_task("check_parity")
    assert "carry_over" in check.upstream_task_ids
    assert "swap_alias" in check.downstream_task_ids
