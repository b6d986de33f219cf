"""The asset of a spec's results, and the event that a complete run emits: what comes next is scheduled on the asset."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Asset, AssetAlias, Context
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from opensearch_batch.land.report import Report

log = logging.getLogger(__name__)

COMPARED = ("compared", "least_cosine", "mean_cosine", "below", "queries", "recall", "doubts", "left_out", "why_not")
"""Of the parity check."""


def results_of(spec_name: str) -> Asset:
    """Return the asset that a spec's report updates: name and URI are `<spec name>/results`, as of an Asset made with
    the name alone.
    """
    return Asset(f"{spec_name}/results")


def outlet_of(spec_name: str) -> AssetAlias:
    """Return the report's outlet. Airflow refuses a task with an inactive Asset before the task's first line; an alias
    is asked nothing, so that no asset costs a run the manifest.
    """
    return AssetAlias(f"{spec_name}/results")


def tell_assets(context: Context, report: Report, spec_name: str) -> None:
    """Attach the run's manifest and counts to the event that each outlet of the task emits on success."""
    counts = {name: getattr(report, name) for name in ("records", "answered", "failed", "missing")}
    extra: dict[str, Any] = {"manifest": report.manifest, **counts}
    if report.written:
        extra |= {name: getattr(report.written, name) for name in ("written", "superseded", "deleted")}
    if report.parity:
        extra["parity"] = {name: getattr(report.parity, name) for name in COMPARED}
    if report.swapped:
        extra["index"] = report.swapped.index
    for outlet in getattr(context["task"], "outlets", []):
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra = extra
        elif isinstance(outlet, AssetAlias):
            _tell_by_name(context, outlet, results_of(spec_name), extra)


def _tell_by_name(context: Context, alias: AssetAlias, asset: Asset, extra: dict[str, Any]) -> None:
    """Emit to the active asset of the name, whatever URI a consumer gave it; Airflow makes one where there is none."""
    events: Any = context["outlet_events"][alias]  # takes a reference, of which its protocol says nothing
    try:
        events.add(Asset.ref(name=asset.name), extra=extra)
    except AirflowRuntimeError as error:
        if error.error.error != ErrorType.ASSET_NOT_FOUND:
            log.warning("the manifest is written, and the active asset %r cannot be looked up: %s", asset.name, error)
        events.add(asset, extra=extra)
    log.info("what comes next follows with schedule=[Asset(%r)]", asset.name)
