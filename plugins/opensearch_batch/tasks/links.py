"""Links from a task in Airflow's UI to the cluster's task and the provider's job; made on the worker when the task
ends, however it ends: also before its own code has run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperatorLink
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.base import fill_connections

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class TaskLink(BaseOperatorLink):
    """The first job's task document, as the cluster shows it; opening it makes the cluster ask the provider."""

    name = "ML Commons task"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _made(operator, self._address)

    @staticmethod
    def _address(operator: Any, job: dict[str, Any]) -> str:
        if not job["task_id"]:
            return ""
        from opensearch_batch.cluster.hook import MLCommonsHook

        hook = MLCommonsHook(operator.opensearch_conn_id)
        hook.get_conn()
        return f"{hook.base_url}/_plugins/_ml/tasks/{job['task_id']}"


class ProviderLink(BaseOperatorLink):
    """The first job in the vendor's console; on a compatible server its API address."""

    name = "Provider job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _made(operator, self._address)

    @staticmethod
    def _address(operator: Any, job: dict[str, Any]) -> str:
        from opensearch_batch import providers
        from opensearch_batch.providers.store import store_class

        provider = providers.get(operator.provider)
        connection = BaseHook.get_connection(operator.provider_conn_id)
        at = store_class(provider).base_url(connection, provider.BASE_URL)
        job_id = job["provider_job_id"]
        return provider.job_link(job_id) if at == provider.BASE_URL else at + provider.job_path(job_id)


def _made(operator: Any, address: Callable[[Any, dict[str, Any]], str]) -> str:
    """The first job's; empty where there is no job, or where what the task lacked keeps the link from being made too.

    `linked_jobs` is set by a submission's own run, absent when it failed before. A wait that dies while it is deferred
    has its jobs, but nothing has filled in its connections.
    """
    jobs = getattr(operator, "linked_jobs", None)
    if not jobs:
        return ""
    try:
        fill_connections(operator)
        return address(operator, jobs[0])
    except (AirflowNotFoundException, SpecError):  # the task has failed for it, and told
        return ""
