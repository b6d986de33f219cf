"""By hand: the alias leads to the index again that it led to before `change_model`."""

from pathlib import Path

from airflow.sdk import dag

from opensearch_batch.operators import RollbackOperator

SPEC = str(Path(__file__).parent / "specs" / "change_model.yaml")


@dag(schedule=None, max_active_runs=1, tags=["by hand", "embedding", "index"], doc_md=__doc__)
def rollback_alias() -> None:
    RollbackOperator(task_id="rollback", spec=SPEC)


rollback_alias()
