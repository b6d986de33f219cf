"""A bundle of shards in one task of real Airflow, whose task state store the threads share."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack.run import DagRun
from stack.stack import Stack
from tests.e2e.test_runs import RUN_SECONDS, Box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

ROWS, SHARDS = 180, 12

DAG = '''
"""The flow by hand: all shards in one task. A DAG of Airflow's."""

from datetime import timedelta
from os import environ

from airflow.sdk import dag
from opensearch_batch import operators as batch
from opensearch_batch.sensor import BatchSensor

DATA = environ["BATCH_DATA_URI"]
MODEL = "text-embedding-3-small"


@dag(schedule=None)
def one_bundle():
    spec = {
        "name": "one_bundle",
        "model": {"name": MODEL, "texts_per_request": 5, "parameters": {"dimensions": 8, "encoding_format": "base64"}},
        "input": {"uri": f"{DATA}/rows.jsonl"},
        "output": {"uri": f"{DATA}/out"},
        "limits": {"max_inputs": 15},
        "wait": {"poll_seconds": 1},
    }
    prepared = batch.PrepareInputOperator(task_id="prepare", spec=spec)
    connector = batch.CreateConnectorOperator(task_id="connector", spec=spec)
    model = batch.RegisterModelOperator(task_id="model", spec=spec, connector_id=connector.output)
    jobs = batch.SubmitBatchOperator(
        task_id="submit", spec=spec, model_id=model.output, shards=prepared.output, retry_delay=timedelta(seconds=1)
    )
    ended = BatchSensor(task_id="wait", spec=spec, jobs=jobs.output)
    batch.FetchOutputOperator(task_id="fetch", spec=spec, outcomes=ended.output)


one_bundle()
'''


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """With a DAG of this test's own: the project's map their bundles, one shard each in runs as small as a test's.

    The home is not in pytest's own folder: see conftest.py.
    """
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-bundles-") as name:
        folder = Path(name)
        (folder / "dags").mkdir()
        (folder / "dags" / "one_bundle.py").write_text(DAG)
        with Stack(folder / "home", dags=folder / "dags") as started:
            yield started


def test_of_twelve_shards_two_fail_to_upload_and_each_is_paid_once(own_stack: Stack) -> None:
    rows = [{"id": f"row-{n}", "text": f"text number {n}"} for n in range(ROWS)]
    (own_stack.home.data / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    box = Box(own_stack.sandbox_url)
    box.order("answer", method="POST", path="^/v1/files$", status=503, times=2)
    run = DagRun.trigger(own_stack, "one_bundle")
    assert run.wait(RUN_SECONDS) == "success"

    tries = {task["task_id"]: task["try_number"] for task in run.tasks()}
    assert tries["submit"] == 2
    jobs = run.xcom("submit")
    assert [job["shard"]["index"] for job in jobs] == list(range(SHARDS))
    assert sorted(job["provider_job_id"] for job in jobs) == sorted(job["id"] for job in box.ledger())
    assert len(box.ledger()) == SHARDS

    report = run.xcom("fetch")["report"]
    assert (report["records"], report["answered"], report["missing"]) == (ROWS, ROWS, 0)
    landed = [json.loads(line) for uri in report["results"] for line in _content(uri).splitlines()]
    assert {row["id"] for row in landed} == {row["id"] for row in rows}
    assert {len(row["embedding"]) for row in landed} == {8}


def _content(uri: str) -> str:
    return Path(uri.removeprefix("file://")).read_text()
