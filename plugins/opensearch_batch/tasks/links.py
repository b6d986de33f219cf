"""Links from a task in Airflow's UI to the cluster's task and the provider's job; made on the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseHook, BaseOperatorLink

from opensearch_batch.tasks.settings import TaskSettings, settings_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from opensearch_batch.tasks.settings import Arguments


class TaskLink(BaseOperatorLink):
    """Link to the first job's task document at the cluster; a click makes the cluster ask the provider."""

    name = "ML Commons task"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        job = _first_job(operator)
        if not job or not job["task_id"]:
            return ""
        from opensearch_batch.cluster.hook import MLCommonsHook

        hook = MLCommonsHook(_settings(operator).opensearch_conn_id)
        hook.get_conn()
        return f"{hook.base_url}/_plugins/_ml/tasks/{job['task_id']}"


class ProviderLink(BaseOperatorLink):
    """Link to the first job in the vendor's console, or at the API address of a compatible server."""

    name = "Provider job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        job = _first_job(operator)
        if not job:
            return ""
        from opensearch_batch.providers.store import store_class

        settings = _settings(operator)
        provider, connection = settings.provider, BaseHook.get_connection(settings.provider_conn_id)
        at = store_class(provider).base_url(connection, provider.BASE_URL)
        job_id = job["provider_job_id"]
        return provider.job_link(job_id) if at == provider.BASE_URL else at + provider.job_path(job_id)


def _settings(operator: BaseOperator) -> TaskSettings:
    """Resolve the settings of an operator of ours: Airflow shows these links on no other operator."""
    return settings_of(cast("Arguments", operator))


def _first_job(operator: BaseOperator) -> dict[str, Any] | None:
    """Return the first of `linked_jobs`, set by the operator's own run; None after a run that failed before."""
    jobs = getattr(operator, "linked_jobs", None)
    return jobs[0] if jobs else None
