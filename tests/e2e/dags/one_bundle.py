"""The flow by hand: all shards in one task. The project's DAGs map bundles, of one shard each in runs this small."""

from __future__ import annotations

from datetime import timedelta
from os import environ

from airflow.sdk import dag

from opensearch_batch import operators as batch
from opensearch_batch.sensor import BatchSensor

DATA = environ["BATCH_DATA_URI"]
MODEL = "text-embedding-3-small"


@dag(schedule=None)
def one_bundle() -> None:
    spec = {
        "name": "one_bundle",
        "model": {"name": MODEL, "texts_per_request": 5, "parameters": {"dimensions": 8, "encoding_format": "base64"}},
        "input": {"uri": f"{DATA}/one_bundle/rows.jsonl"},
        "output": {"uri": f"{DATA}/one_bundle/out"},
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
