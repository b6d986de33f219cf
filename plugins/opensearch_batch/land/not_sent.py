"""Not sent: the report of a run whose plan was rejected."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch.flow.approval import Approval
from opensearch_batch.flow.jobs import Job
from opensearch_batch.land.report import Report, sum_up
from opensearch_batch.prepare.plan import Plan


def rejected_report(plan: Plan, approval: Approval, earlier: Iterable[Job] = ()) -> Report:
    """Every row is accounted for as not sent, but those of `earlier` jobs, which an earlier try of the run submitted.
    The report names no manifest, because a rejected run writes none.
    """
    submitted = {job.key: job.shard.records + (job.shard.twins or 0) for job in earlier if job.shard and not job.round}
    planned = plan.records + (plan.twins or 0)
    report = sum_up(plan, [], "")
    not_sent = max(0, planned - sum(submitted.values()))
    return replace(report, missing=0, absent=[], not_sent=not_sent, approval=approval, reused=UNSET)
