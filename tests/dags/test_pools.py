"""Airflow never runs a task whose pool does not exist: what the DAGs name is what pools.json makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

DAGS = Path(__file__).resolve().parents[2] / "dags"
SUBMITTING = {f"{group}.{task}" for group in ("shard", "repair_1") for task in ("submit_batch", "wait_for_batch")}


def pools_of(**arguments: Any) -> dict[str, str]:
    with DAG("d", schedule=None) as dag:
        batch_inference(**arguments)
    return {task.task_id: task.pool for task in dag.tasks if task.pool != "default_pool"}


def limited(**limits: int) -> BatchSpec:
    return BatchSpec.load(DAGS / "specs" / "embed_stdlib_docs.yaml").override(
        {f"limits.{name}": limit for name, limit in limits.items()}
    )


def test_every_pool_the_dags_name_is_made_with_one_slot(bag: dict[str, Any]) -> None:
    made = json.loads((DAGS / "pools.json").read_text(encoding="utf-8"))
    named = {pool for dag in bag["dags"].values() for pool in dag["pools"] if pool != "default_pool"}
    assert named == set(made) == {"opensearch_batch_submits"}
    assert {(pool["slots"], pool["include_deferred"]) for pool in made.values()} == {(1, False)}


def test_whatever_submits_to_a_limited_model_passes_its_pool() -> None:
    pool = "opensearch_batch_stdlib-embedding"
    for limits in ({"max_jobs_in_flight": 2}, {"max_enqueued_tokens": 1_000_000}):
        assert pools_of(spec=limited(**limits)) == dict.fromkeys(SUBMITTING, pool)
    assert pools_of(spec=limited()) == {}


def test_a_spec_that_is_known_at_run_time_only_has_its_pool_named() -> None:
    assert pools_of(spec="/specs/{{ params.spec }}.yaml", submit_pool="mine") == dict.fromkeys(SUBMITTING, "mine")
