"""Plan: counts and money known before anything is sent, and the refusal of a plan that costs too much."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import BudgetExceeded
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.plan import Plan, make_plan
from opensearch_batch.prepare.prices import Price

SHARDS = [Shard(0, "mem://0", "a", 10, 1000, 600_000), Shard(1, "mem://1", "b", 5, 500, 400_000)]


def plan(price: Price | None, max_cost_usd: float | None = None, shards: list[Shard] = SHARDS) -> Plan:
    return make_plan(shards, "key", price, dry_run=False, max_cost_usd=max_cost_usd)


def test_a_plan_adds_up_its_shards() -> None:
    made = plan(Price(2.0, 8.0))
    assert (made.records, made.shards, made.bytes, made.estimated_tokens) == (15, 2, 1500, 1_000_000)
    assert made.estimated_usd == 2.0
    assert "15 rows in 2 shards, 1500 bytes" in str(made)
    assert "$2.0000" in str(made)
    assert Plan.from_dict(made.to_dict()) == made


def test_one_of_a_kind_is_said_in_the_singular() -> None:
    assert "1 row in 1 shard, 9 bytes" in str(plan(None, shards=[Shard(0, "mem://0", "a", 1, 9, 2)]))


def test_a_plan_under_the_bound_passes_and_one_above_it_is_refused() -> None:
    assert plan(Price(2.0, 2.0), max_cost_usd=2.0).estimated_usd == 2.0
    with pytest.raises(
        BudgetExceeded, match=r"max_cost_usd is 1\.99, the plan is above it: 15 rows .*Nothing was sent"
    ):
        plan(Price(2.0, 2.0), max_cost_usd=1.99)


def test_a_bound_without_a_price_is_refused_and_says_how_to_give_one() -> None:
    with pytest.raises(BudgetExceeded, match=r"no price is known: set limits\.usd_per_million_tokens"):
        plan(None, max_cost_usd=100)


def test_without_a_bound_an_unknown_price_is_fine() -> None:
    made = plan(None)
    assert made.estimated_usd is None
    assert "no price known" in str(made)


def test_nothing_to_send_never_breaks_a_bound() -> None:
    assert plan(None, max_cost_usd=0.0, shards=[]).records == 0


def test_a_dry_run_is_marked_in_the_plan() -> None:
    assert make_plan(SHARDS, "key", None, dry_run=True, max_cost_usd=None).dry_run


def test_the_plan_says_of_which_price_it_speaks() -> None:
    made = make_plan(SHARDS, "key", Price(2.0), dry_run=False, max_cost_usd=None, price_origin="a list price")
    assert str(made).endswith("about $2.0000 at a list price")
    assert Plan.from_dict(made.to_dict()) == made
