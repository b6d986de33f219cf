"""An index filled, of which OpenLineage is told."""

from __future__ import annotations

from airflow.providers.openlineage.utils.selective_enable import enable_lineage
from airflow.sdk import dag

from opensearch_batch.fill import fill_embeddings

FOLDER = "${BATCH_DATA_URI}/observed"


@dag(schedule=None)
def observed() -> None:
    fill_embeddings(
        "observed-articles",
        ["title", "body"],
        "embedding",
        model={"name": "text-embedding-3-small", "parameters": {"dimensions": 256}},
        output_uri=FOLDER,
        limits={"max_requests": 25},
        wait={"poll_seconds": 1},
    )


enable_lineage(observed())
