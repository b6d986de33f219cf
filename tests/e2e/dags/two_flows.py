"""Two flows of one DAG, each in a task group, with one folder of results and one of work."""

from typing import Any

from airflow.sdk import dag, task_group

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

FOLDER = "${BATCH_DATA_URI}/two_flows"


def flow(name: str) -> None:
    spec: dict[str, Any] = {
        "name": "two_flows",
        "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
        "input": {"uri": f"{FOLDER}/{name}.jsonl"},
        "output": {"uri": f"{FOLDER}/results"},
        "work_uri": f"{FOLDER}/work",
        "limits": {"max_requests": 10},
        "wait": {"poll_seconds": 1},
    }

    @task_group(group_id=name)
    def group() -> None:
        batch_inference(BatchSpec.check(spec))

    group()


@dag(schedule=None, tags=["test"])
def two_flows() -> None:
    flow("titles")
    flow("bodies")


two_flows()
