"""batch_inference called in a task group of one's own: Airflow then begins each task's id with the group's."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task_group

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC: dict[str, Any] = {
    "name": "articles",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "opensearch://opensearch_default/articles", "text_field": "body"},
    "output": {"uri": "file:///tmp/out"},
    "work_uri": "file:///tmp/work",
    "reuse": {"uri": "file:///tmp/paid"},
    "parity": {"sample": 5},
    "write_back": {"vector_field": "vector"},
    "wait": {"finish_by": "06:30"},
    "limits": {"ask_above_usd": 1, "max_straggler_usd": 1},
}
TOLD_BY = ("answered_by", "compared_by", "approved_by", "planned_by")
TOLD_BY_SEVERAL = ("repaired_by", "submitted_by", "waited_by", "written_by")


def in_a_group(**settings: Any) -> dict[str, Any]:
    with DAG("several", schedule=None) as dag:

        @task_group(group_id="articles")
        def articles() -> None:
            batch_inference(BatchSpec.check({**SPEC, **settings}))

        articles()
    return dict(dag.task_dict)


def told_by(report: Any, *more: str) -> list[str]:
    several = [task_id for name in TOLD_BY_SEVERAL for task_id in getattr(report, name)]
    return [*several, *(getattr(report, name) for name in (*TOLD_BY, *more))]


@pytest.mark.parametrize(
    ("settings", "more"),
    [({}, ()), ({"write_back": {"vector_field": "vector", "mode": "beside"}}, ("swapped_by",))],
)
def test_the_report_asks_the_groups_own_tasks(settings: dict[str, Any], more: tuple[str, ...]) -> None:
    """A task that is not there tells nothing: no answer of stragglers, no shut gate, no moved alias would count."""
    tasks = in_a_group(**settings)
    named = told_by(tasks["articles.report"], *more)
    assert "" not in named
    assert set(named) <= tasks.keys()
    assert set(named) <= tasks["articles.report"].get_flat_relative_ids(upstream=True)
    assert set(tasks["articles.report"].submitted_by) == {
        "articles.shard.submit_batch",
        "articles.repair_1.submit_batch",
    }


def test_what_writes_chunks_asks_the_groups_own_tasks_too() -> None:
    chunked = {"input": {**SPEC["input"], "chunks": {"size": 100}}, "write_back": {"vector_field": "chunks.vector"}}
    tasks = in_a_group(**chunked, parity=None)
    assert tasks["articles.write_chunks"].answered_by == "articles.answer_stragglers"
