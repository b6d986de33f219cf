"""Links from a task in Airflow's UI to the run's jobs and the provider's job. Airflow makes them on the worker when
the task ends, however the task ends: also before the task's own code has run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from airflow.sdk import BaseHook, BaseOperatorLink
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.jobs import Job
from opensearch_batch.pages.address import page_of
from opensearch_batch.tasks.settings import TaskSettings, settings_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from opensearch_batch.tasks.settings import Arguments


class JobsLink(BaseOperatorLink):
    """Link to the jobs on the page of the run, with their tasks in the cluster; empty without a job."""

    name = "Jobs"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return (
            page_of(ti_key.dag_id, ti_key.run_id, "jobs", ti_key.task_id)
            if getattr(operator, "linked_jobs", None)
            else ""
        )


class ProviderLink(BaseOperatorLink):
    """Link to the first job in the vendor's console, or at the API address of a compatible server."""

    name = "Provider job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        return _made(operator, _job_address)


def _job_address(settings: TaskSettings, job: Job) -> str:
    from opensearch_batch.providers.store import store_class

    provider, connection = settings.provider, BaseHook.get_connection(settings.provider_conn_id)
    at = store_class(provider).base_url(connection, provider.BASE_URL)
    job_id = job.provider_job_id
    return provider.job_link(job_id) if at == provider.BASE_URL else at + provider.job_path(job_id)


def _made(operator: BaseOperator, address: Callable[[TaskSettings, Job], str]) -> str:
    """Return the address of the first of `linked_jobs`, set by the operator's own run.

    Empty without a job, and where a missing connection or a wrong spec failed the task: its error says so.
    """
    jobs: list[Job] | None = getattr(operator, "linked_jobs", None)
    if not jobs:
        return ""
    try:
        return address(settings_of(cast("Arguments", operator)), jobs[0])
    except (AirflowNotFoundException, SpecError):
        return ""
