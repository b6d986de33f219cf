"""Summary: a run in a few figures, small enough that a page reads ten thousand of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearch_batch import providers
from opensearch_batch.flow.values import Value
from opensearch_batch.land.report import Report

SUMMARY = "summary"
"""Key of the XCom."""


class Summary(Value, frozen=True, forbid_unknown_fields=False):
    """Read by API servers that may be older than the workers: unknown keys are passed over.

    `rows` are all planned rows, `reused` those of them with an earlier run's vector, `twins` those with another
    row's text. `codes` counts the failed rows by their reason. `rounds` are the repair rounds that sent something.
    Money is in US dollars, that of stragglers included, None without a known price.
    """

    provider: str
    model: str
    rows: int
    answered: int
    failed: int
    missing: int
    repaired: int
    reused: int
    twins: int
    jobs: int
    rounds: int
    codes: dict[str, int]
    tokens: int
    estimated_usd: float | None
    actual_usd: float | None
    manifest: str


def summary_of(report: Report, spec: Mapping[str, Any]) -> Summary:
    """`spec` is empty for a run wired by hand, whose provider and model are then not known."""
    model = spec.get("model") or {}
    return Summary(
        provider=model.get("provider") or (providers.DEFAULT.NAME if model else ""),
        model=model.get("name") or "",
        rows=report.records,
        answered=report.answered,
        failed=report.failed,
        missing=report.missing,
        repaired=report.repaired,
        reused=report.reused or 0,
        twins=report.twins or 0,
        jobs=len(report.jobs) + len(report.unlanded or ()),
        rounds=len({job.round for job in report.jobs} - {0}),
        codes=report.codes,
        tokens=report.actual_tokens,
        estimated_usd=report.estimated_usd,
        actual_usd=_paid(report),
        manifest=report.manifest,
    )


def _paid(report: Report) -> float | None:
    """Batches and stragglers together."""
    online = (report.stragglers.usd or 0.0) if report.stragglers else 0.0
    return None if report.actual_usd is None else report.actual_usd + online
