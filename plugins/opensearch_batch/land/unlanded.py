"""Unlanded: the jobs of a run whose answers have not landed. They count in the run's money all the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.land.report import Report, reported
from opensearch_batch.prepare.plan import Plan


def unlanded(
    submitted: Iterable[Job], waited: Iterable[Outcome], landed: Iterable[Landed]
) -> list[tuple[Job, Outcome | None]]:
    """Return the newest job of each key that did not land, with its end where a wait saw one."""
    found: dict[str, tuple[Job, Outcome | None]] = {job.key: (job, None) for job in submitted}
    found |= {outcome.job.key: (outcome.job, outcome) for outcome in waited}
    for part in landed:
        found.pop(part.job.key, None)
    return list(found.values())


def with_unlanded(report: Report, plan: Plan, jobs: Sequence[tuple[Job, Outcome | None]]) -> Report:
    """Return the report with these jobs and their usage. The money is None where the usage of one is not known; a job
    of another run costs nothing.
    """
    if not jobs:
        return report
    used = [_usage(outcome) for job, outcome in jobs if not job.shared_with]
    usage = sum(used, Usage(report.input_tokens, report.output_tokens, report.instance_seconds))
    known = plan.price is not None and Usage() not in used
    return replace(
        report,
        unlanded=[
            reported(job, outcome.state if outcome else "running", job.shard.records if job.shard else 0)
            for job, outcome in jobs
        ],
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        instance_seconds=usage.instance_seconds,
        actual_tokens=usage.input_tokens + usage.output_tokens,
        actual_usd=plan.price.of(usage) if plan.price and known else None,
    )


def _usage(outcome: Outcome | None) -> Usage:
    if outcome is None:
        return Usage()
    return Usage(outcome.input_tokens, outcome.output_tokens, outcome.instance_seconds)
