"""Claiming: how a task tells whose jobs it submits, and what for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opensearch_batch.submit.claims import Claimant
from opensearch_batch.tasks.closing import instance
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context


def claimant_of(context: Context, settings: TaskSettings, model_id: str, parameters: Mapping[str, Any]) -> Claimant:
    ti, run = context["ti"], context["dag_run"]
    return Claimant(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task=instance(ti),
        dag_version=str(ti.dag_version_id),
        paid_for=paid_for(settings, model_id, parameters),
    )


def paid_for(settings: TaskSettings, model_id: str = "", parameters: Mapping[str, Any] | None = None) -> str:
    """Tell what is paid for beside the rows: vendor, account, model and parameters. Without a spec only the cluster's
    model is known.
    """
    model = settings.spec.model if settings.spec else None
    wanted = [model.name, model.endpoint, model.parameters] if model else [model_id]
    return json.dumps([settings.provider.NAME, settings.provider_conn_id, *wanted, parameters or {}], sort_keys=True)
