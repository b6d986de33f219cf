"""By hand: another model for the index behind an alias, filled beside it. `rollback_alias` goes back."""

from pathlib import Path

from airflow.sdk import dag

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = BatchSpec.load(Path(__file__).parent / "specs" / "change_model.yaml")


@dag(schedule=None, max_active_runs=1, tags=["by hand", "embedding", "index"], doc_md=__doc__)
def change_model() -> None:
    batch_inference(SPEC)


change_model()
