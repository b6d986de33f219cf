"""Every night: the vectors of the documents that changed, in an index that people search meanwhile."""

from pathlib import Path

import pendulum
from airflow.sdk import CronDataIntervalTimetable, dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = BatchSpec.load(Path(__file__).parent / "specs" / "fill_embeddings.yaml")
NIGHTLY = CronDataIntervalTimetable("0 3 * * *", timezone="UTC")


@dag(
    schedule=NIGHTLY,
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["nightly", "embedding", "index"],
    doc_md=__doc__,
)
def fill_embeddings() -> None:
    batch_inference(SPEC)


fill_embeddings()
