"""Mapped tasks are named by their shards and rows, each step by what it is given."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.operators import FetchOutputOperator, SubmitBatchOperator
from tests.sandbox.bench import Run, Server, rows_of, sensor, submit_settings


def test_each_step_of_a_bundle_has_its_shards_and_rows_as_its_name(model_id: str, run: Run) -> None:
    shards = [bundle[0] for bundle in run.prepare(rows_of(25), max_requests=10)]
    jobs = run.submit(model_id, shards[1:])
    outcomes = run.wait(jobs)
    steps: list[Any] = [
        SubmitBatchOperator(**submit_settings(model_id, shards[1:])),
        sensor(jobs),
        FetchOutputOperator(task_id="fetch", outcomes=outcomes, output_uri=f"file://{run.out}"),
    ]
    assert [step.index_name for step in steps] == ["shards 1, 2: 15 rows"] * 3
    assert SubmitBatchOperator(**submit_settings(model_id, shards[0])).index_name == "shard 0: 10 rows"
    assert SubmitBatchOperator(**submit_settings(model_id, shards[0] | {"round": 2})).index_name == (
        "shard 0 of repair 2: 10 rows"
    )


@pytest.mark.parametrize("nothing", [None, []])
def test_without_shards_there_is_no_name(server: Server, nothing: None | list[None]) -> None:
    assert SubmitBatchOperator(**submit_settings("a-model", nothing)).index_name == ""
    assert sensor([]).index_name == ""
