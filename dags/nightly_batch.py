"""Every night: the rows of the day that has just ended. Each run reads its own partition, so it is safe to backfill."""

from pathlib import Path

import pendulum
from airflow.sdk import CronDataIntervalTimetable, dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = BatchSpec.load(Path(__file__).parent / "specs" / "nightly_articles.yaml")
NIGHTLY = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")


@dag(
    schedule=NIGHTLY,
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    tags=["nightly", "embedding"],
    doc_md=__doc__,
)
def nightly_batch() -> None:
    batch_inference(SPEC, submit_pool="opensearch_batch_submits")


nightly_batch()
