"""LimitSection: the bounds of a run, and the sum above which somebody has to say yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from opensearch_batch.errors import SpecError
from opensearch_batch.section import Section


class LimitSection(Section):
    """Limits below the provider's own, and limits of money, failures and repair rounds."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"max_cost_usd": 5}

    min_requests: int | None = Field(
        None,
        ge=1,
        description="Fewest requests a job may have at the provider; default: the number the vendor publishes.",
    )
    max_requests: int | None = Field(
        None,
        ge=1,
        description="Requests a shard; a request is a row by default. Default: the provider's.",
    )
    max_bytes: int | None = Field(None, ge=1, description="Bytes a shard; default: the provider's.")
    max_inputs: int | None = Field(
        None,
        ge=1,
        description="Texts a shard, where a request has several; default: the provider's.",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Estimated input tokens a shard (bytes / 4), e.g. to stay below the provider's limit on the "
        "enqueued tokens of a model; default: no limit.",
    )
    max_provider_bytes: int | None = Field(
        None,
        ge=1,
        description="Bytes that all files at the provider may have together; default: the limit the vendor publishes. "
        "A run whose input files do not fit is refused before the first upload.",
    )
    max_jobs_in_flight: int | None = Field(
        None,
        ge=1,
        description="Live jobs of the model at the provider, over all runs and backfills; needs a pool of one slot. "
        "Default: no limit.",
    )
    max_enqueued_tokens: int | None = Field(
        None,
        ge=1,
        description="Tokens of the live jobs together, a job counted as its input file's bytes / 4, with "
        "input.images.tokens as its estimate; bounds a shard too, and needs a pool of one slot. Default: no limit.",
    )
    usd_per_million_tokens: float | None = Field(
        None,
        ge=0,
        description="Batch price; default: the batch price of genai-prices, else its list price times the vendor's "
        "factor for batches. The plan says of which price it speaks.",
    )
    usd_per_instance_hour: float | None = Field(
        None, ge=0, description="Price of a machine, where the provider bills machines; for the report."
    )
    max_cost_usd: float | None = Field(
        None,
        ge=0,
        description="A plan estimated above this (bytes / 4 tokens in, max_tokens a row out) is refused before the "
        "upload, as is a model whose price is not known: give usd_per_million_tokens. A model that writes needs a "
        "bound of its answers in model.parameters, else the spec is refused. Default: no limit.",
    )
    ask_above_usd: float | None = Field(
        None,
        ge=0,
        description="A run estimated above this waits for somebody's approval in Airflow before it sends anything, as "
        "does a run whose price is not known, or whose answers have no bound. Default: nobody is asked.",
    )
    ask_timeout_hours: float = Field(
        24,
        gt=0,
        description="Hours to wait for the approval; after that the run is rejected: it sends nothing and is a "
        "success.",
    )
    ask_users: list[str] = Field(
        [],
        description="Ids of the Airflow users who may answer; default: all whom Airflow lets answer for the DAG.",
    )
    max_straggler_usd: float = Field(
        0.0,
        ge=0,
        description="Rows open after the last batch, at wait.finish_by at the latest, are answered one by one through "
        "the cluster's `_predict`, if all of them cost at most this at the list price (bytes / 4 tokens, and the "
        "longest answers that model.parameters allow); else none is. 0: none is, and the rows are named as failed.",
    )
    straggler_usd_per_million_tokens: float | None = Field(
        None, ge=0, description="Price of a million tokens online, in and out; default: the list price of genai-prices."
    )
    stragglers_per_second: float = Field(
        5,
        gt=0,
        le=1000,
        description="Rows asked online in a second, at most; fewer where provider or cluster say to slow down.",
    )
    max_failed_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of rows that may fail for a named reason before the run fails; rows skipped by "
        "input.bad_rows do not count.",
    )
    same_input: Literal["allow", "refuse", "share"] = Field(
        "allow",
        description="Another run has sent the same rows to the same model: allow sends and pays again; refuse fails "
        "before anything is sent; share waits for that run's jobs and lands their answers, for nothing. force_resubmit "
        "in the run's conf pays again all the same. Runs of one work_uri are compared, shard by shard.",
    )
    repair_rounds: int = Field(
        1,
        ge=0,
        le=3,
        description="Rounds, at most 3, in which rows that expired, were cancelled, are missing or failed for a "
        "passing reason go again in the same run; 0: never. A DAG whose spec is a template has one round, because its "
        "tasks are known before its spec is.",
    )


def refuse_uncounted(limits: LimitSection) -> None:
    """Raise SpecError for a limit that counts tokens, where no plan knows the tokens of the images."""
    counting = ("max_cost_usd", "max_tokens", "max_enqueued_tokens")
    for name in counting:
        if getattr(limits, name) is not None:
            raise SpecError(
                f"limits.{name} cannot hold: no plan knows the tokens of an image. Say input.images.tokens, or leave "
                f"limits.{name} out; limits.ask_above_usd asks before a run whose images are not counted"
            )
