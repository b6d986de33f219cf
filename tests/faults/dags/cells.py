"""A DAG a vendor, whose runs are the cells of the fault matrix: few rows, and times that are short in proportion.

The settle time is 62 s instead of 930, and what the matrix calls ten minutes is 40 s.
"""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_parsing_context

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

FILES = "s3://opensearch-batch/jobs"
MODELS: dict[str, dict[str, Any]] = {
    "openai": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "sagemaker": {"name": "stdlib-embedding", "job": {"files_uri": FILES, "instance_type": "ml.m5.xlarge"}},
    "bedrock": {
        "name": "amazon.titan-embed-text-v2:0",
        "parameters": {"dimensions": 256},
        "job": {"files_uri": FILES, "role_arn": "arn:aws:iam::123456789012:role/bedrock-batch"},
    },
    "cohere": {"name": "embed-english-v3.0"},
}
ROWS_A_SHARD = {"bedrock": 100}
SETTLE_SECONDS = 62.0
QUICK = {"retries": 6, "retry_delay": timedelta(seconds=2), "settle_seconds": SETTLE_SECONDS}


def spec_of(vendor: str) -> BatchSpec:
    folder = "${BATCH_DATA_URI}/cells/{run_id}"
    return BatchSpec.check(
        {
            "name": f"cells_{vendor}",
            "model": {"provider": vendor, **MODELS[vendor]},
            "input": {"uri": f"{folder}/rows.jsonl"},
            "output": {"uri": f"{folder}/results"},
            "work_uri": f"{folder}/work",
            "limits": {"max_requests": ROWS_A_SHARD.get(vendor, 4), "max_failed_fraction": 0.7},
            "wait": {"poll_seconds": float(os.environ.get("CELLS_POLL_SECONDS", "1"))},
        }
    )


def cells_of(vendor: str) -> None:
    @dag(
        dag_id=f"cells_{vendor}",
        schedule=None,
        default_args=QUICK,
        max_active_runs=100,
        max_active_tasks=200,
        tags=["test"],
    )
    def cells() -> None:
        batch_inference(spec_of(vendor))

    cells()


ONLY = get_parsing_context().dag_id
"""In a task's process; the other DAGs need not be made there."""
for name in MODELS:
    if ONLY in (None, f"cells_{name}"):
        cells_of(name)
