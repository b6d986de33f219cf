"""Plan: the counts and the price of a run, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from opensearch_batch.errors import BudgetExceeded
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.prepare.prices import Price


class Plan(Value, frozen=True):
    """`estimated_tokens` is input only, bytes / 4; money is None without a known price. Prices are US dollars a
    million tokens, or an hour of a machine, where the provider bills machine time: then no estimate is possible.
    Prices are the mean over the planned requests (prepare/prices.py); `price_origin` tells of which price, and is unset
    in plans of earlier versions.

    `records` are the rows to send; `bad_rows` of the input are skipped on top, and stand in the file `bad_rows_uri`,
    which a dry run does not write.

    `indices` are read documents' indices as they were then; `unchanged` documents have their vector already, `empty`
    documents have no text: neither is sent. Unset where the input is no index. `question` is what the checkpoint counts
    for (sources/checkpoint.py); unset where nothing but a whole read will do. `reused_rows` are answered on top, with
    vectors of earlier runs in the results file `reused`, which a dry run does not write. `twins` are rows on top with
    the text of a row to send, and get its answer. `images` go with the rows; each counts `image_tokens` among the
    estimated tokens, and none where that is unset. `flow` tells the run's flow from others of its DAG; unset for one at
    the top of the DAG, and in plans of earlier versions.
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
    price_origin: str | UnsetType = UNSET
    indices: tuple[IndexState, ...] | UnsetType = UNSET
    question: str | UnsetType = UNSET
    reused: DataFile | UnsetType = UNSET
    reused_rows: int | UnsetType = UNSET
    unchanged: int | UnsetType = UNSET
    empty: int | UnsetType = UNSET
    twins: int | UnsetType = UNSET
    predictions: int | UnsetType = UNSET
    """Texts of the parity check at most, paid at the online price on top; unset without one."""
    images: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET
    flow: str | UnsetType = UNSET

    @property
    def has_uncounted_images(self) -> bool:
        """Whether the estimate is without the tokens of images, which no plan knows."""
        return bool(self.images) and self.image_tokens is UNSET

    @property
    def price(self) -> Price | None:
        if self.input_usd_per_million is not None and self.output_usd_per_million is not None:
            return Price(self.input_usd_per_million, self.output_usd_per_million)
        return None if self.usd_per_instance_hour is None else Price(instance_hour_usd=self.usd_per_instance_hour)

    def __str__(self) -> str:
        money = "no price known" if self.estimated_usd is None else f"about ${self.estimated_usd:.4f}"
        if self.price_origin:
            money += f" at {self.price_origin}"
        if self.usd_per_instance_hour is not None:
            money = f"${self.usd_per_instance_hour:g} an instance-hour"
        if self.output_tokens_at_most is None:
            money += " for the input alone"
        if self.has_uncounted_images and self.estimated_usd is not None:
            money += " without the images"
        skipped = f"; {counted(self.bad_rows, 'bad row')} on top, skipped" if self.bad_rows else ""
        if self.unchanged or self.empty:
            skipped += (
                f"; not sent: {counted(self.unchanged or 0, 'unchanged document')}, {self.empty or 0} without text"
            )
        if self.reused_rows:
            skipped += f"; {counted(self.reused_rows, 'row')} with the vector of an earlier run"
        if self.twins:
            skipped += f"; {counted(self.twins, 'row')} with the text of another row, which is sent once"
        if self.predictions:
            skipped += f"; and up to {self.predictions} online predictions of the parity check, not in the estimate"
        if self.images:
            each = f"{self.image_tokens} tokens each" if self.image_tokens else "tokens not counted"
            skipped = f"; {counted(self.images, 'image')}, {each} (input.images.tokens){skipped}"
        return (
            f"{counted(self.records, 'row')} in {counted(self.shards, 'shard')}, {self.bytes} bytes, "
            f"an estimated {self.estimated_tokens} input tokens (bytes / 4), {money}{skipped}"
        )


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def make_plan(
    shards: Sequence[Shard],
    run_key: str,
    price: Price | None,
    *,
    dry_run: bool,
    max_cost_usd: float | None,
    output_tokens_a_row: int | None = 0,
    usd_per_instance_hour: float | None = None,
    price_origin: str | UnsetType = UNSET,
    image_tokens: int | UnsetType = UNSET,
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
        price_origin=price_origin,
        images=sum(shard.images or 0 for shard in shards) or UNSET,
        image_tokens=image_tokens,
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
