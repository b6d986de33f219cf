"""A new index beside the one behind an alias, and back again."""

from airflow.sdk import dag

from opensearch_batch.fill import fill_embeddings
from opensearch_batch.operators import RollbackOperator

ALIAS = "changing"
MODEL = {"name": "text-embedding-3-small", "parameters": {"dimensions": 16}}
REUSE = {"uri": "${BATCH_DATA_URI}/changing/record"}
POLLS = {"poll_seconds": 2}
PARITY = {"sample": 20, "queries": 3}


@dag(schedule=None)
def changing() -> None:
    fill_embeddings(ALIAS, "body", "vector", model=MODEL, mode="beside", reuse=REUSE, wait=POLLS, parity=PARITY)


@dag(schedule=None)
def changing_back() -> None:
    spec = {
        "name": "fill_changing",
        "model": MODEL,
        "input": {"uri": f"opensearch://opensearch_default/{ALIAS}", "text_field": "body"},
        "output": {"uri": "${BATCH_DATA_URI}/changing"},
        "write_back": {"vector_field": "vector"},
    }
    RollbackOperator(task_id="rollback", spec=spec)


changing()
changing_back()
