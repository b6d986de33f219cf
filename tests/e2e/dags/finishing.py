"""Flows whose answers are needed soon: what a batch has left half a minute after the start is asked online."""

from datetime import timedelta

from airflow.sdk import dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SOON = {
    "wait": {"finish_by": 0.01, "poll_seconds": 1},
    "limits": {"max_straggler_usd": 0.01, "stragglers_per_second": 8},
}
SPEC = {
    "name": "finishing",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "${BATCH_DATA_URI}/finishing/rows.jsonl"},
    "output": {"uri": "${BATCH_DATA_URI}/finishing/out"},
    **SOON,
}
LABELS = {
    **SPEC,
    "name": "finishing_labels",
    "model": {
        "name": "gpt-4o-mini",
        "endpoint": "/v1/chat/completions",
        "parameters": {"max_tokens": 50},
        "system_prompt": "You label rows.",
        "output_schema": "${BATCH_DATA_URI}/finishing/label.json",
    },
    "input": {"uri": "${BATCH_DATA_URI}/finishing/rows.jsonl", "max_records": 20},
    "output": {"uri": "${BATCH_DATA_URI}/finishing/labels"},
}
RETRIES = {"retry_delay": timedelta(seconds=1)}


@dag(schedule=None, default_args=RETRIES)
def finishing() -> None:
    batch_inference(BatchSpec.check(SPEC, "finishing"))


@dag(schedule=None, default_args=RETRIES)
def finishing_labels() -> None:
    batch_inference(BatchSpec.check(LABELS, "finishing_labels"))


finishing()
finishing_labels()
