"""Closing a run: the Report held against the plan, the manifest, the asset event, and whether the run may count as
good.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Asset, AssetAlias, Context

from opensearch_batch.errors import Terminal
from opensearch_batch.landing import MANIFEST, write_manifest
from opensearch_batch.plan import Plan
from opensearch_batch.reconcile import Landed, Report, sum_up

log = logging.getLogger(__name__)


def run_key(dag_id: str, run_id: str, instance: str = "") -> str:
    """Names a run's files: the same for every try and every clear of it. `instance` tells chains in one DAG apart."""
    return hashlib.sha256(f"{dag_id}|{run_id}|{instance}".encode()).hexdigest()[:10]


def instance(ti: Any) -> str:
    """A task instance within its run."""
    mapped = ti.map_index is not None and ti.map_index >= 0
    return f"{ti.task_id}-{ti.map_index}" if mapped else str(ti.task_id)


def landed_plan(landed: list[Landed], key: str) -> Plan:
    """A plan made from what landed, for a fetch that is wired by hand and has no other."""
    return Plan(key, sum(part.records for part in landed), len(landed), 0, 0, None, None, None)


def close_run(
    context: Context,
    plan: Plan,
    landed: list[Landed],
    output_uri: str,
    max_failed_fraction: float,
    spec: dict[str, Any],
) -> dict[str, Any]:
    """Write the manifest, then judge. Raise Terminal for a hole, or for more failed rows than allowed."""
    report = sum_up(plan, landed, f"{output_uri}/{MANIFEST}")
    run = context["dag_run"]
    about = {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "run_after": run.run_after.isoformat(),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": spec,
    }
    write_manifest(report, landed, about, plan.run_key)
    log.info("%s", report)
    if report.failed:
        log.warning("failed rows by code: %s; see %s", report.codes, ", ".join(report.failures))
    if report.problems:
        raise Terminal(f"not every planned row is accounted for: {'; '.join(report.problems)}. {report}")
    if report.failed > max_failed_fraction * report.records:
        raise Terminal(
            f"{report.failed} of {report.records} rows failed ({report.codes}), {max_failed_fraction:.2%} may. "
            f"All answers have landed; the reasons are in {', '.join(report.failures)}. "
            "Raise max_failed_fraction if that is fine."
        )
    tell_assets(context, report, spec.get("name") or run.dag_id)
    return report.to_dict()


def results_of(spec_name: str) -> Asset:
    """The asset that a spec's report updates: schedule a DAG on it to go on from the manifest in the event's extra."""
    return Asset(name=f"{spec_name}/results", uri=f"x-opensearch-batch://{spec_name}/results")


def tell_assets(context: Context, report: Report, spec_name: str) -> None:
    """Attach manifest and counts to the event that each outlet of the task emits on success."""
    counts = {name: getattr(report, name) for name in ("records", "answered", "failed", "missing")}
    extra = {"manifest": report.manifest, **counts}
    events = context["outlet_events"]
    for outlet in getattr(context["task"], "outlets", []):
        if isinstance(outlet, Asset):
            events[outlet].extra = extra
        elif isinstance(outlet, AssetAlias):
            events[outlet].add(results_of(spec_name), extra=extra)
