from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats
from msgspec.structs import replace

from opensearch_batch.tasks import metrics
from tests.sandbox.bench import StateStore
from tests.unit.test_counters import SUMMARY

if TYPE_CHECKING:
    import pytest


def test_a_report_that_finds_less_and_then_all_again_counts_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def incr(name: str, amount: int, tags: dict[str, str]) -> None:
        if name == "opensearch_batch.rows" and tags["outcome"] == "answered":
            told.append(amount)

    monkeypatch.setattr(stats, "incr", incr)
    context: Any = {"dag_run": SimpleNamespace(dag_id="nightly"), "task_state_store": StateStore()}
    for answered, jobs in ((95, 3), (40, 4), (95, 4), (97, 4)):
        metrics.count_run(context, replace(SUMMARY, answered=answered, jobs=jobs), None)
    assert told == [95, 2]
