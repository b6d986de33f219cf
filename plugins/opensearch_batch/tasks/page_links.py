"""Links from a task in Airflow's UI to the page of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from opensearch_batch.pages.address import page_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class PlanLink(BaseOperatorLink):
    """Link to rows, shards, tokens and the price."""

    name = "Plan"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return page_of(ti_key.dag_id, ti_key.run_id, "plan", ti_key.task_id)


class ModelLink(BaseOperatorLink):
    """Link to the ids of connector and model in the cluster."""

    name = "Connector and model"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return page_of(ti_key.dag_id, ti_key.run_id, "model", ti_key.task_id)


class ReportLink(BaseOperatorLink):
    """Link to counts, manifest, results, failures and jobs."""

    name = "Report and results"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return page_of(ti_key.dag_id, ti_key.run_id, "report", ti_key.task_id)
