"""Links from a task in Airflow's UI to the cluster's task and the provider's job; made on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class TaskLink(BaseOperatorLink):
    """The first job's task document, as the cluster shows it; opening it makes the cluster ask the provider."""

    name = "ML Commons task"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        job = _first_job(operator)
        if not job or not job["task_id"]:
            return ""
        from opensearch_batch.cluster.hook import MLCommonsHook

        hook = MLCommonsHook(operator.opensearch_conn_id)  # type: ignore[attr-defined]
        hook.get_conn()
        return f"{hook.base_url}/_plugins/_ml/tasks/{job['task_id']}"


class ProviderLink(BaseOperatorLink):
    """The first job in the vendor's console; on a compatible server its API address."""

    name = "Provider job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        job = _first_job(operator)
        if not job:
            return ""
        from opensearch_batch import providers
        from opensearch_batch.providers.store import store_class

        provider = providers.get(operator.provider)  # type: ignore[attr-defined]
        connection = BaseHook.get_connection(operator.provider_conn_id)  # type: ignore[attr-defined]
        at = store_class(provider).base_url(connection, provider.BASE_URL)
        job_id = job["provider_job_id"]
        return provider.job_link(job_id) if at == provider.BASE_URL else at + provider.job_path(job_id)


def _first_job(operator: Any) -> dict[str, Any] | None:
    """`linked_jobs` is set by the operator's own run; absent when it failed before."""
    jobs = getattr(operator, "linked_jobs", None)
    return jobs[0] if jobs else None
