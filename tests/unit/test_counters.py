from __future__ import annotations

from opensearch_batch.flow.written import Written
from opensearch_batch.land.counters import Counter, counters_of, not_counted
from opensearch_batch.land.summary import Summary

SUMMARY = Summary(
    provider="openai",
    model="text-embedding-3-small",
    rows=100,
    answered=95,
    failed=4,
    missing=1,
    repaired=2,
    reused=30,
    twins=0,
    jobs=3,
    rounds=1,
    codes={"too_long": 3, "rejected": 1},
    tokens=7000,
    estimated_usd=0.0001,
    actual_usd=0.00007,
    manifest="file:///out/manifest.json",
)


def series(counters: list[Counter]) -> dict[str, int]:
    return {counter.series: counter.amount for counter in counters}


def test_a_run_in_counters() -> None:
    written = Written(written=90, superseded=3, deleted=1, refused={"mapper_parsing_exception": 1})
    assert series(counters_of(SUMMARY, written)) == {
        "opensearch_batch.rows outcome=answered": 95,
        "opensearch_batch.rows outcome=failed": 4,
        "opensearch_batch.rows outcome=missing": 1,
        "opensearch_batch.failures code=too_long": 3,
        "opensearch_batch.failures code=rejected": 1,
        "opensearch_batch.rows_reused": 30,
        "opensearch_batch.rows_repaired": 2,
        "opensearch_batch.repair_rounds": 1,
        "opensearch_batch.jobs": 3,
        "opensearch_batch.tokens": 7000,
        "opensearch_batch.cost_microusd": 70,
        "opensearch_batch.documents outcome=written": 90,
        "opensearch_batch.documents outcome=superseded": 3,
        "opensearch_batch.documents outcome=deleted": 1,
        "opensearch_batch.documents outcome=refused": 1,
    }


def test_money_is_counted_in_millionths_of_a_dollar() -> None:
    dear = Summary.from_dict({**SUMMARY.to_dict(), "actual_usd": 12.5})
    assert series(counters_of(dear, None))["opensearch_batch.cost_microusd"] == 12_500_000


def test_a_model_without_a_price_costs_nothing_known() -> None:
    free = Summary.from_dict({**SUMMARY.to_dict(), "actual_usd": None})
    assert "opensearch_batch.cost_microusd" not in series(counters_of(free, None))


def test_a_second_try_of_a_report_adds_the_difference() -> None:
    first = series([Counter("rows", 5, {"outcome": "answered"}), Counter("rows", 2, {"outcome": "missing"})])
    second = [Counter("rows", 7, {"outcome": "answered"}), Counter("jobs", 1, {})]
    assert not_counted(second, first) == [Counter("rows", 2, {"outcome": "answered"}), Counter("jobs", 1, {})]
    assert not_counted(second, series(second)) == []
