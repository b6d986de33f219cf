"""Closing a run: the Report held against the plan, the manifest, the asset event, and whether the run may count as
good.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from opensearch_batch.errors import InputError, Terminal
from opensearch_batch.flow.approval import Approval
from opensearch_batch.flow.beside import Swapped
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.parity import Parity
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.flow.written import Written, added
from opensearch_batch.land.followed import Followed, follow, followed_at, followed_uri, incomplete, landed_less
from opensearch_batch.land.manifest import (
    Manifest,
    files_of,
    landed_before,
    manifest_uri,
    remove_strays,
    write_manifest,
)
from opensearch_batch.land.planned import Planned, planned
from opensearch_batch.land.reconcile import NAMED, Left
from opensearch_batch.land.repair import Taken
from opensearch_batch.land.report import Report, sum_up
from opensearch_batch.land.summary import SUMMARY, summary_of
from opensearch_batch.land.unlanded import with_unlanded
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.prepare.run_note import note_landed
from opensearch_batch.storage import size_of
from opensearch_batch.tasks.assets import tell_assets
from opensearch_batch.tasks.base import flat
from opensearch_batch.tasks.earlier_tasks import failed_before
from opensearch_batch.tasks.judging import why_not_complete, why_not_swapped
from opensearch_batch.tasks.metrics import count_run

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

PREPARE, MAKE = "prepare_input", "make_index"
"""The tasks of batch_inference that prepare, and make a new index."""


def run_key(dag_id: str, run_id: str, instance: str = "") -> str:
    """Name a run's files, alike for every try and every clear; `instance` tells chains in one DAG apart."""
    return hashlib.sha256(f"{dag_id}|{run_id}|{instance}".encode()).hexdigest()[:10]


def flow_of(begun_by: str) -> str:
    """Tell a flow from others of its run by the task instance that prepares it, or makes its index: by this `run_key`
    names its files and its index, and `flow_name` its vectors. A flow at the top of its DAG has the names of the run,
    as in earlier versions.
    """
    return "" if begun_by in (PREPARE, MAKE) else begun_by


def run_name(context: Context) -> str:
    """Name a run as a person knows it."""
    run = context["dag_run"]
    return f"{run.dag_id}/{run.run_id}"


def flow_name(context: Context, flow: str) -> str:
    """Name a flow (`flow_of`) beside the vectors that it has written."""
    return f"{run_name(context)}/{flow}" if flow else run_name(context)


def instance(ti: Any) -> str:
    """Name a task instance within a run."""
    mapped = ti.map_index is not None and ti.map_index >= 0
    return f"{ti.task_id}-{ti.map_index}" if mapped else str(ti.task_id)


def landed_plan(landed: list[Landed], key: str, flow: str) -> Plan:
    """Make a plan from what landed, for a fetch wired by hand, without a plan."""
    return Plan(key, sum(part.records for part in landed), len(landed), 0, 0, None, None, None, flow=flow)


def of_this_preparation(
    ti: Any, landed: Sequence[Landed], planned_by: str, repaired_by: Sequence[str] = (), answered_by: str = ""
) -> Planned:
    """Leave out what an earlier preparation of the run has left in Airflow's database (land/planned.py)."""
    rounds = [ti.xcom_pull(task_ids=task_id, key="taken") for task_id in repaired_by]
    online = ti.xcom_pull(task_ids=answered_by, key="taken") if answered_by else None
    shards = [Shard.from_dict(shard) for shard in flat(ti.xcom_pull(task_ids=planned_by) or [])]
    taken = [[Taken.from_dict(group) for group in groups or []] for groups in (*rounds, online)]
    return planned(landed, shards, taken[:-1], taken[-1])


@dataclass(frozen=True, kw_only=True)
class Ends:
    """How a run's rows have ended, and what its other tasks tell. `written` is None where nothing is written back,
    `swapped` where an alias should have moved and has not. After a failed task `landed` may come from an earlier try.
    """

    landed: list[Landed]
    left: Sequence[Left] = ()
    unlanded: Sequence[tuple[Job, Outcome | None]] = ()
    bad: Left | None = None
    reused: DataFile | None = None
    written: Sequence[Written] | None = None
    parity: Parity | None = None
    swapped: Swapped | None | UnsetType = UNSET
    approval: Approval | None = None
    stragglers: Stragglers | None = None


def close_run(
    context: Context,
    plan: Plan,
    ends: Ends,
    output_uri: str,
    spec: dict[str, Any],
    *,
    max_failed_fraction: float,
    may_shrink: bool = False,
    prepared_in: Sequence[str] = (),
) -> Report:
    """Write the run's manifest, then judge the run: a run that is complete becomes the one that readers follow. The
    notes in the folders `prepared_in` say then that all has landed.

    Raise Terminal for a hole, or for more failed rows than allowed. The manifest of an earlier try that landed every
    shard stands where a task has failed in this one.
    """
    report = _reported(plan, ends, manifest_uri(output_uri, plan.run_key))
    failed = failed_before(context)[:NAMED]
    _refuse_instead_of_earlier(report, failed)
    manifest = _manifest(report, ends, spec, context["dag_run"], plan.flow)
    write_manifest(manifest)
    if report.all_landed and not report.unlanded:
        for folder in prepared_in:
            _note_landed(folder)
    _push(context, report, spec)
    before = followed_at(followed_uri(report.manifest))
    remove_strays(manifest, plan.run_key, [entry.uri for entry in before.files] if before else ())
    log.info("%s", report)
    for row in report.examples:
        log.warning("%s failed: %s: %s", row.id, row.code, row.message)
    why = why_not_complete(report, ends.landed, failed, max_failed_fraction)
    if why is None and ends.swapped is None:
        why = why_not_swapped(failed)
    if why:
        raise Terminal(f"{why} {incomplete(before, manifest)}")
    _move(before, manifest, plan.run_key, may_shrink=may_shrink)
    tell_assets(context, report, spec.get("name") or context["dag_run"].dag_id)
    return report


def _note_landed(folder: str) -> None:
    """A note of another version, or one that somebody removes, is no reason to fail: the manifest tells as much."""
    try:
        note_landed(folder)
    except InputError as error:
        log.warning("the note of the preparation does not say that all has landed: %s", error)


def _reported(plan: Plan, ends: Ends, manifest: str) -> Report:
    summed = sum_up(plan, ends.landed, manifest, ends.left, ends.bad, ends.reused)
    told = {
        "written": None if ends.written is None else added(ends.written),
        "parity": ends.parity,
        "swapped": ends.swapped or None,
        "stragglers": ends.stragglers,
        "approval": ends.approval,
    }
    return replace(
        with_unlanded(summed, plan, ends.unlanded), **{name: value for name, value in told.items() if value is not None}
    )


def _refuse_instead_of_earlier(report: Report, failed: Sequence[str]) -> None:
    """`failed` names the failed tasks."""
    uris = (report.manifest, followed_uri(report.manifest))
    if failed and any(landed_before(uri, report.manifest) for uri in uris):
        raise Terminal(
            f"{', '.join(failed)} failed in this try, see the log there. What an earlier try landed stays as it is, "
            f"with its manifest {report.manifest}"
        )


def _manifest(report: Report, ends: Ends, spec: dict[str, Any], run: Any, flow: str | UnsetType) -> Manifest:
    """Raise Terminal for a file that is there no more."""
    manifest = Manifest(
        version=1,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_after=run.run_after.isoformat(),
        flow=flow,
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=spec,
        report=report,
        files=files_of(ends.landed, [*ends.left, *([ends.bad] if ends.bad else [])], ends.reused),
    )
    if gone := [entry.uri for entry in manifest.files if size_of(entry.uri) is None]:
        raise Terminal(
            f"{gone[0]} has landed and is there no more ({len(gone)} of {len(manifest.files)} files): an erasure wrote "
            f"it anew, or somebody removed it. What stands at {report.manifest} stays as it is"
        )
    return manifest


def _push(context: Context, report: Report, spec: dict[str, Any]) -> None:
    """Give the page of the run its report, failed or not, and the page of all batches its summary."""
    context["ti"].xcom_push(key="report", value=report.to_dict())
    summary = summary_of(report, spec)
    context["ti"].xcom_push(key=SUMMARY, value=summary.to_dict())
    count_run(context, summary, report.written or None)


def _move(before: Followed | None, manifest: Manifest, run_key: str, *, may_shrink: bool) -> None:
    if not may_shrink and (less := landed_less(before, manifest)):
        log.warning("%s", less)
        return
    follow(manifest, run_key)
    remove_strays(manifest, run_key)
