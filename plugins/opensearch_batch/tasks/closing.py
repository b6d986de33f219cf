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

from opensearch_batch.errors import Terminal
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
from opensearch_batch.land.report import Report, shards_named, sum_up
from opensearch_batch.land.summary import SUMMARY, summary_of
from opensearch_batch.land.unlanded import with_unlanded
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.storage import size_of
from opensearch_batch.tasks.assets import tell_assets
from opensearch_batch.tasks.base import flat
from opensearch_batch.tasks.earlier_tasks import failed_before
from opensearch_batch.tasks.metrics import count_run

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def run_key(dag_id: str, run_id: str, instance: str = "") -> str:
    """Name a run's files, alike for every try and every clear; `instance` tells chains in one DAG apart."""
    return hashlib.sha256(f"{dag_id}|{run_id}|{instance}".encode()).hexdigest()[:10]


def run_name(context: Context) -> str:
    """Name a run beside the vectors that it has written."""
    run = context["dag_run"]
    return f"{run.dag_id}/{run.run_id}"


def instance(ti: Any) -> str:
    """Name a task instance within a run."""
    mapped = ti.map_index is not None and ti.map_index >= 0
    return f"{ti.task_id}-{ti.map_index}" if mapped else str(ti.task_id)


def landed_plan(landed: list[Landed], key: str) -> Plan:
    """Make a plan from what landed, for a fetch wired by hand, without a plan."""
    return Plan(key, sum(part.records for part in landed), len(landed), 0, 0, None, None, None)


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
) -> Report:
    """Write the run's manifest, then judge the run: a run that is complete becomes the one that readers follow.

    Raise Terminal for a hole, or for more failed rows than allowed. The manifest of an earlier try that landed every
    shard stands where a task has failed in this one.
    """
    report = _reported(plan, ends, manifest_uri(output_uri, plan.run_key))
    failed = failed_before(context)[:NAMED]
    _refuse_instead_of_earlier(report, failed, context["dag_run"])
    manifest = _manifest(report, ends, spec, context["dag_run"])
    write_manifest(manifest)
    _push(context, report, spec)
    before = followed_at(followed_uri(report.manifest))
    remove_strays(manifest, plan.run_key, [entry.uri for entry in before.files] if before else ())
    log.info("%s", report)
    for row in report.examples:
        log.warning("%s failed: %s: %s", row.id, row.code, row.message)
    why = _why_not_complete(report, ends.landed, failed, max_failed_fraction)
    if why is None and ends.swapped is None:
        why = _why_not_swapped(failed)
    if why:
        raise Terminal(f"{why} {incomplete(before, manifest)}")
    _move(before, manifest, plan.run_key, may_shrink=may_shrink)
    tell_assets(context, report, spec.get("name") or context["dag_run"].dag_id)
    return report


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


def _refuse_instead_of_earlier(report: Report, failed: Sequence[str], run: Any) -> None:
    """`failed` names the failed tasks."""
    uris = (report.manifest, followed_uri(report.manifest))
    if failed and any(landed_before(uri, run.dag_id, run.run_id) for uri in uris):
        raise Terminal(
            f"{', '.join(failed)} failed in this try, see the log there. What an earlier try landed stays as it is, "
            f"with its manifest {report.manifest}"
        )


def _manifest(report: Report, ends: Ends, spec: dict[str, Any], run: Any) -> Manifest:
    """Raise Terminal for a file that is there no more."""
    manifest = Manifest(
        version=1,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_after=run.run_after.isoformat(),
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


def _why_not_complete(
    report: Report, landed: Sequence[Landed], failed: Sequence[str], max_failed_fraction: float
) -> str | None:
    """`failed` names the failed tasks."""
    cause = f" {', '.join(failed)} failed, see the log there." if failed and not report.all_landed else ""
    if report.left:
        log.warning(
            "%d rows were handed on to a repair round and did not land there; they keep their earlier reason.%s",
            report.left,
            cause,
        )
    if report.problems:
        return f"not every planned row is accounted for: {'; '.join(report.problems)}.{cause} {report}."
    if report.written and (why := _why_not_written(report, report.written, failed)):
        return why
    if report.parity and report.parity.shut:
        return f"{report.parity.shut}. The vectors are in the index. {report.parity}."
    bad = report.bad_rows or 0
    failed_at_provider, sent = report.failed - bad, report.records - bad - (report.reused or 0)
    if failed_at_provider > max_failed_fraction * sent:
        return (
            f"{failed_at_provider} of {sent} rows failed ({report.codes}), {max_failed_fraction:.2%} may"
            f"{_first_words(report)}. {'All answers have landed; the' if report.answered else 'The'} reasons are in "
            f"{', '.join(report.failures)}.{cause if report.left else ''} {what_now(landed)}".rstrip()
        )
    return None


def _why_not_swapped(failed: Sequence[str]) -> str:
    cause = f"{', '.join(failed)} failed, see the log there." if failed else "A task before the swap did not run."
    return (
        f"all vectors are in the new index, and the alias was not moved. {cause} Clear that task, and it goes on; "
        "nothing is sent to the provider again."
    )


def _why_not_written(report: Report, written: Written, failed: Sequence[str]) -> str | None:
    if written.vectors < report.answered:
        cause = f" {', '.join(failed)} failed, see the log there." if failed else ""
        return (
            f"{report.answered - written.vectors} of {report.answered} vectors have landed and are not in the index."
            f"{cause} Clear {_writer(written)}, and it goes on; nothing is sent to the provider again."
        )
    if written.refused:
        first = "".join(f", first {each.id}: {each.code}: {each.message}" for each in written.examples[:1])
        return (
            f"the index refused {sum(written.refused.values())} of {written.documents} vectors ({written.refused})"
            f"{first}. All other vectors are in the index. Correct the mapping or the document, and clear "
            f"{_writer(written)}."
        )
    return None


def _writer(written: Written) -> str:
    return "write_back" if written.chunks is UNSET else "write_chunks"


def what_now(landed: Sequence[Landed]) -> str:
    """Advise a person on failed rows: a clear sends a job without any answer again, and no other job."""
    failed = [part for part in landed if part.failed and not part.job.is_online]
    unanswered = [part for part in failed if not part.answered and not part.repair]
    answered = [part for part in failed if part.answered or part.repair]
    advice = []
    if any(part.failed and part.job.is_online for part in landed):
        advice.append(
            "A clear of answer_stragglers asks for its failed rows again, and pays for no row that has its answer."
        )
    if unanswered:
        advice.append(
            f"Nothing of {_named(unanswered)} was answered: fix the model, the spec or what the provider names, then "
            "clear submit_batch there (prepare_input, if the spec or the input changed), and it is sent again."
        )
    if answered:
        advice.append(
            f"A clear does not send the failed rows of {_named(answered)} again, because the job has answers or its "
            "rows went to a repair round: give these rows to a new run as its input."
        )
    if answered and not unanswered and all(part.state == "completed" for part in answered):
        advice.append(
            "If they may fail, raise max_failed_fraction and clear prepare_input (without a plan: this task); "
            "nothing is sent again."
        )
    return " ".join(advice)


def _named(parts: Sequence[Landed]) -> str:
    shards = [part.job.shard for part in parts if part.job.shard]
    if len(shards) == len(parts):
        rounds: dict[int, list[int]] = {}
        for shard in shards:
            rounds.setdefault(shard.round, []).append(shard.index)
        return ", ".join(
            shards_named(indexes) + (f" of repair {number}" if number else "") for number, indexes in rounds.items()
        )
    return ", ".join(f"job {part.job.provider_job_id}" for part in parts)


def _first_words(report: Report) -> str:
    return "".join(f", first {row.id}: {row.message!r}" for row in report.examples[:1])
