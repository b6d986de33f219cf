"""Counters: a run's figures under the names that they have in a metrics system. Values only; tasks/metrics.py sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opensearch_batch.flow.written import Written
from opensearch_batch.land.metric_names import PREFIX
from opensearch_batch.land.summary import Summary


class Counter(NamedTuple):
    """An amount to add, e.g. `Counter("opensearch_batch.rows", 5243, {"outcome": "answered"})`."""

    name: str
    amount: int
    tags: dict[str, str]

    @property
    def series(self) -> str:
        """Name the time series: `opensearch_batch.rows outcome=answered`."""
        return " ".join([self.name, *(f"{tag}={value}" for tag, value in sorted(self.tags.items()))])


def counters_of(summary: Summary, written: Written | None) -> list[Counter]:
    """Return a run's counters, those of 0 left out; `written` is None where nothing is written back.

    `rows` counts each planned row once, by `outcome`; `failures` counts the failed rows again, by `code`. Money is in
    millionths of a US dollar, because a counter is a whole number; left out without a known price.
    """
    rows = {"answered": summary.answered, "failed": summary.failed, "missing": summary.missing}
    counted = [
        *_by("rows", "outcome", rows),
        *_by("failures", "code", summary.codes),
        Counter(f"{PREFIX}.rows_reused", summary.reused, {}),
        Counter(f"{PREFIX}.rows_repaired", summary.repaired, {}),
        Counter(f"{PREFIX}.repair_rounds", summary.rounds, {}),
        Counter(f"{PREFIX}.jobs", summary.jobs, {}),
        Counter(f"{PREFIX}.tokens", summary.tokens, {}),
        Counter(f"{PREFIX}.cost_microusd", round((summary.actual_usd or 0) * 1e6), {}),
    ]
    if written is not None:
        refused = sum(written.refused.values())
        ends = {"written": written.written, "superseded": written.superseded, "deleted": written.deleted}
        counted += _by("documents", "outcome", {**ends, "refused": refused})
    return [counter for counter in counted if counter.amount]


def not_counted(counters: list[Counter], counted: Mapping[str, int]) -> list[Counter]:
    """Return what is to be added; `counted` has what earlier tries of the same report have added, by series.

    A figure that is smaller than before adds nothing: a counter never goes down.
    """
    more = [counter._replace(amount=counter.amount - counted.get(counter.series, 0)) for counter in counters]
    return [counter for counter in more if counter.amount > 0]


def _by(name: str, tag: str, counts: Mapping[str, int]) -> list[Counter]:
    return [Counter(f"{PREFIX}.{name}", count, {tag: value}) for value, count in counts.items()]
