"""Long texts of an index as chunks, in several bundles."""

from __future__ import annotations

from airflow.sdk import dag

from opensearch_batch.fill import fill_embeddings

FOLDER = "${BATCH_DATA_URI}/chunking"


@dag(schedule=None)
def chunking() -> None:
    fill_embeddings(
        "essays",
        "body",
        "chunks.embedding",
        model={"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
        input={"chunks": {"size": 120, "unit": "characters"}},
        output_uri=f"{FOLDER}/{{run_id}}",
        reuse={"uri": f"{FOLDER}/paid-for"},
        limits={"max_requests": 14},
        wait={"poll_seconds": 1},
    )


chunking()
