"""An index whose vectors are held against the model's online answers, night after night."""

from __future__ import annotations

from airflow.sdk import dag

from opensearch_batch.fill import fill_embeddings


@dag(schedule=None)
def compared() -> None:
    fill_embeddings(
        "compared-articles",
        ["title", "body"],
        "embedding",
        model={"name": "text-embedding-3-small", "parameters": {"dimensions": 256}},
        parity={"sample": 10, "queries": 3},
        wait={"poll_seconds": 1},
    )


compared()
