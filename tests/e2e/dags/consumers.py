"""DAGs that follow the results of others; one is there once a file of its name is, one gave its asset another URI."""

from __future__ import annotations

from os import environ
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, dag, task

from opensearch_batch import results

DOCSTRINGS = Asset("embed_stdlib_docs/results")
ARTICLES = Asset("nightly_articles/results", uri="x-elsewhere://articles")
LATER = Path(environ["BATCH_DATA_URI"].removeprefix("file://")) / "consumed_later"


def make_dag(dag_id: str, asset: Asset) -> None:
    @dag(dag_id=dag_id, schedule=[asset], is_paused_upon_creation=True)
    def consumer() -> None:
        @task
        def read(triggering_asset_events: Any = None) -> dict[str, int]:
            """Rows read, by manifest."""
            uris = [event.extra["manifest"] for event in triggering_asset_events[asset]]
            return {uri: sum(1 for _ in results.open(uri)) for uri in uris}

        read()

    consumer()


make_dag("consumed_first", DOCSTRINGS)
make_dag("consumed_paused", DOCSTRINGS)
make_dag("consumed_elsewhere", ARTICLES)
if LATER.exists():
    make_dag("consumed_later", DOCSTRINGS)
