"""A flow whose answers are needed soon: what its batch has left half a minute after the start is asked online."""

from datetime import timedelta

from airflow.sdk import dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = {
    "name": "finishing",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "${BATCH_DATA_URI}/finishing/rows.jsonl"},
    "output": {"uri": "${BATCH_DATA_URI}/finishing/out"},
    "wait": {"finish_by": 0.01, "poll_seconds": 1},
    "limits": {"max_straggler_usd": 0.01, "stragglers_per_second": 8},
}


@dag(schedule=None, default_args={"retry_delay": timedelta(seconds=1)})
def finishing() -> None:
    batch_inference(BatchSpec.check(SPEC, "finishing"))


finishing()
