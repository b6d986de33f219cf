"""The plan of what a preparation has made: the shards, and the rows that are not sent."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.bad_rows import BadRows
from opensearch_batch.prepare.plan import Plan, make_plan
from opensearch_batch.prepare.prices import MeanPrice, Tariff
from opensearch_batch.prepare.reused import Reuse
from opensearch_batch.sources.changed import ChangedDocuments
from opensearch_batch.spec import BatchSpec


@dataclass(frozen=True)
class Made:
    """`documents` of an input that is an index; `reuse` of a spec with that section, and in the file `reused` its rows,
    which a dry run does not write.
    """

    shards: list[Shard]
    bad: BadRows
    documents: ChangedDocuments | None
    reuse: Reuse | None
    reused: DataFile | None


def plan_of(spec: BatchSpec, made: Made, run_key: str, tariff: Tariff | None, price: MeanPrice | None) -> Plan:
    """Raise BudgetExceeded as make_plan does; `price` is the mean of the requests at the tariff."""
    model, vendor = spec.model, providers.get(spec.model.provider)
    plan = make_plan(
        made.shards,
        run_key,
        price.value if price else None,
        dry_run=spec.dry_run,
        max_cost_usd=spec.limits.max_cost_usd,
        output_tokens_a_row=vendor.output_tokens_at_most(model.name, model.endpoint, model.parameters),
        usd_per_instance_hour=spec.limits.usd_per_instance_hour,
        price_origin=tariff.origin if tariff else UNSET,
        image_tokens=(spec.input.images and spec.input.images.tokens) or UNSET,
    )
    if spec.parity:
        plan = replace(plan, predictions=spec.parity.sample)
    return _with_unsent(plan, made)


def _with_unsent(plan: Plan, made: Made) -> Plan:
    if documents := made.documents:
        plan = replace(
            plan,
            indices=documents.states,
            question=documents.question or UNSET,
            unchanged=documents.unchanged,
            empty=documents.empty,
        )
    if made.reuse:
        twins = sum(shard.twins or 0 for shard in made.shards)
        reused, count = made.reused or UNSET, made.reuse.count
        plan = replace(plan, reused=reused, reused_rows=count, twins=twins or UNSET)
    if made.bad.count:
        plan = replace(plan, bad_rows=made.bad.count, bad_rows_uri=made.bad.uri or UNSET)
    return plan
