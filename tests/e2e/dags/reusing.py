"""An index whose texts are paid for once, whatever becomes of the index."""

from __future__ import annotations

from airflow.sdk import dag

from opensearch_batch.fill import fill_embeddings

FOLDER = "${BATCH_DATA_URI}/reusing"


@dag(schedule=None)
def reusing() -> None:
    fill_embeddings(
        "reused-articles",
        ["title", "body"],
        "embedding",
        model={"name": "text-embedding-3-small", "parameters": {"dimensions": 256}},
        output_uri=f"{FOLDER}/{{run_id}}",
        reuse={"uri": f"{FOLDER}/paid-for"},
        wait={"poll_seconds": 1},
    )


reusing()
