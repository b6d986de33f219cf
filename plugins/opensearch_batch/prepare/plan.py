"""Plan: the counts and the price of a run, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from opensearch_batch.errors import BudgetExceeded
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.providers.protocol import Provider


class Plan(Value, frozen=True):
    """`estimated_tokens` is input only, bytes / 4; money is None without a known price. Prices are US dollars a
    million tokens, or an hour of a machine, where the provider bills machine time: then no estimate is possible.

    `records` are the rows to send; `bad_rows` of the input are skipped on top, and stand in the file `bad_rows_uri`,
    which a dry run does not write.
    """

    run_key: str
    records: int
    shards: int
    bytes: int
    estimated_tokens: int
    input_usd_per_million: float | None
    output_usd_per_million: float | None
    estimated_usd: float | None
    dry_run: bool = False
    output_tokens_at_most: int | None = 0
    usd_per_instance_hour: float | None = None
    bad_rows: int | UnsetType = UNSET
    bad_rows_uri: str | UnsetType = UNSET

    def __str__(self) -> str:
        money = "no price known" if self.estimated_usd is None else f"about ${self.estimated_usd:.4f}"
        if self.usd_per_instance_hour is not None:
            money = f"${self.usd_per_instance_hour:g} an instance-hour"
        if self.output_tokens_at_most is None:
            money += " for the input alone"
        skipped = f"; {counted(self.bad_rows, 'bad row')} on top, skipped" if self.bad_rows else ""
        return (
            f"{counted(self.records, 'row')} in {counted(self.shards, 'shard')}, {self.bytes} bytes, "
            f"an estimated {self.estimated_tokens} input tokens (bytes / 4), {money}{skipped}"
        )


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens, batch discount applied; and an hour of a machine."""

    input_usd: float = 0.0
    output_usd: float = 0.0
    instance_hour_usd: float = 0.0

    def of(self, usage: Usage) -> float:
        tokens = (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / 1e6
        return tokens + usage.instance_seconds / 3600 * self.instance_hour_usd


def make_plan(
    shards: Sequence[Shard],
    run_key: str,
    price: Price | None,
    *,
    dry_run: bool,
    max_cost_usd: float | None,
    output_tokens_a_row: int | None = 0,
    usd_per_instance_hour: float | None = None,
) -> Plan:
    """Raise BudgetExceeded when the estimate is above `max_cost_usd`, or without a price to compare with the bound."""
    tokens = sum(shard.estimated_tokens for shard in shards)
    records = sum(shard.records for shard in shards)
    output = None if output_tokens_a_row is None else output_tokens_a_row * records
    plan = Plan(
        run_key=run_key,
        records=records,
        shards=len(shards),
        bytes=sum(shard.bytes for shard in shards),
        estimated_tokens=tokens,
        input_usd_per_million=price.input_usd if price else None,
        output_usd_per_million=price.output_usd if price else None,
        estimated_usd=price.of(Usage(tokens, output or 0)) if price else None,
        dry_run=dry_run,
        output_tokens_at_most=output,
        usd_per_instance_hour=usd_per_instance_hour,
    )
    if max_cost_usd is not None and tokens:
        if plan.estimated_usd is None:
            raise BudgetExceeded(
                f"max_cost_usd is {max_cost_usd}, but no price is known: set limits.usd_per_million_tokens. "
                f"Plan: {plan}"
            )
        if output is None:
            raise BudgetExceeded(
                f"max_cost_usd is {max_cost_usd}, but answers have no bound: give max_tokens. Plan: {plan}"
            )
        if plan.estimated_usd > max_cost_usd:
            raise BudgetExceeded(f"max_cost_usd is {max_cost_usd}, the plan is above it: {plan}. Nothing was sent.")
    return plan


def price_of(provider: Provider, model: str, usd_per_million_tokens: float | None) -> Price | None:
    """Return the given batch price for all tokens, else the list price of genai-prices times the provider's batch
    factor, else None.
    """
    if usd_per_million_tokens is not None:
        return Price(usd_per_million_tokens, usd_per_million_tokens)
    if provider.PRICE_ID is None:
        return None
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        inward, outward = (
            float(calc_price(tokens, model_ref=model, provider_id=provider.PRICE_ID).total_price)
            * provider.BATCH_PRICE_FACTOR
            for tokens in (Tokens(input_tokens=1_000_000), Tokens(output_tokens=1_000_000))
        )
    except LookupError:
        return None
    return Price(inward, outward)
