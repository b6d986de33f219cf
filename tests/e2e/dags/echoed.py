"""A flow on connections of its own, whose tasks try again after a second."""

from datetime import timedelta

from airflow.sdk import dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = {
    "name": "echoed",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "${BATCH_DATA_URI}/echoed/rows.jsonl"},
    "output": {"uri": "${BATCH_DATA_URI}/echoed/out"},
    "wait": {"poll_seconds": 1},
    "connections": {"opensearch": "echoed_cluster", "provider": "echoed_provider"},
}


@dag(schedule=None, default_args={"retry_delay": timedelta(seconds=1)})
def echoed() -> None:
    batch_inference(BatchSpec.check(SPEC, "echoed"))


echoed()
