"""Claiming: how a task tells whose jobs it submits, and what for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.claims import Claim, Claimant, SharedJob
from opensearch_batch.submit.same_input import refuse_same
from opensearch_batch.submit.shares import shared_job
from opensearch_batch.tasks.closing import instance
from opensearch_batch.tasks.forced import force_word
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context


def claimant_of(
    context: Context,
    settings: TaskSettings,
    store: ProviderStore,
    model_id: str,
    parameters: Mapping[str, Any],
) -> Claimant:
    """Return the run's Claimant. It raises PaidBefore where the spec refuses what another run has paid for, and returns
    that run's job where the spec shares.
    """
    ti, run = context["ti"], context["dag_run"]
    what = paid_for(settings, model_id, parameters)

    def check(shard: Shard, claim: Claim) -> SharedJob | None:
        if refuses(context, settings.spec):
            refuse_same(shard, claim, what, store, settings.provider)
        return taken(shard, claim, claimed=True)

    def taken(shard: Shard, claim: Claim, *, claimed: bool = False) -> SharedJob | None:
        if not shares(context, settings.spec):
            return None
        return shared_job(shard, claim, what, store, settings.provider, claimed=claimed)

    return Claimant(run.dag_id, run.run_id, instance(ti), str(ti.dag_version_id), what, check, taken)


def refuses(context: Context, spec: BatchSpec | None) -> bool:
    """Tell whether rows that another run has paid for must not be sent."""
    return spec is not None and spec.limits.same_input == "refuse" and not force_word(context)


def shares(context: Context, spec: BatchSpec | None) -> bool:
    """Tell whether the job of another run over the same rows is to be taken."""
    return spec is not None and spec.limits.same_input == "share" and not force_word(context)


def paid_for(settings: TaskSettings, model_id: str = "", parameters: Mapping[str, Any] | None = None) -> str:
    """Tell what is paid for beside the rows: vendor, account, model and parameters. Without a spec only the cluster's
    model is known.
    """
    model = settings.spec.model if settings.spec else None
    wanted = [model.name, model.endpoint, model.parameters] if model else [model_id]
    return json.dumps([settings.provider.NAME, settings.provider_conn_id, *wanted, parameters or {}], sort_keys=True)
