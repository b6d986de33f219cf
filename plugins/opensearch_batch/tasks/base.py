"""BatchOperator, and how a task reaches the cluster and the provider."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseOperator, Context, conf
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch.errors import BatchError, SpecError
from opensearch_batch.flow.jobs import Job
from opensearch_batch.scrubbing import remember_connection
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.tasks.settings import TaskSettings, settings_of
from opensearch_batch.wait.looking import Ask, asker, cancel_running, drive

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from opensearch_batch.cluster.hook import MLCommonsHook
    from opensearch_batch.cluster.ml_commons import Call
    from opensearch_batch.lineage.steps import Lineage
    from opensearch_batch.providers.store import ProviderStore

log = logging.getLogger(__name__)

CREDENTIAL = "credential_conn_id"
"""The argument of a CreateConnectorOperator."""


class BatchOperator(BaseOperator):
    """Base of the operators; `run_step` may raise any BatchError.

    :param spec: a spec as a dict, or the path of a spec's YAML file; fills in every argument left out.
    :param provider: name of the provider; default: the spec's, else the first provider.
    :param opensearch_conn_id: connection to the cluster; default: the spec's, else opensearch_default.
    :param provider_conn_id: connection to the provider; default: the spec's, else the provider's own.
    :param job: the vendor's settings of a job besides the rows, as `model.job` of a spec; needed by some vendors, where
        a task submits or registers.
    """

    template_fields: Sequence[str] = ("spec", "provider", "opensearch_conn_id", "provider_conn_id", "job")
    template_fields_renderers = {"spec": "json", "job": "json"}
    ui_color = "#d9eef7"
    lineage: Callable[[], Lineage] | None = None
    """What the task has read and written; asked only where lineage is sent, and None where the task came to no end."""

    def __init__(
        self,
        *,
        spec: Any = None,
        provider: str = "",
        opensearch_conn_id: str = "",
        provider_conn_id: str = "",
        job: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**patient(kwargs))
        self.spec = spec
        self.provider = provider
        self.opensearch_conn_id = opensearch_conn_id
        self.provider_conn_id = provider_conn_id
        self.job = job

    def execute(self, context: Context) -> Any:
        with airflow_errors():
            settings = settings_of(self)
            know_keys(settings, context)
            return self.run_step(context, settings)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """Airflow's OpenLineage provider, where there is one, asks for this by its name."""
        from opensearch_batch.tasks.lineage import facets_of

        return facets_of(self.lineage()) if self.lineage else None

    @abstractmethod
    def run_step(self, context: Context, settings: TaskSettings) -> Any: ...


def credential_connections(context: Context) -> list[str]:
    """Return the ids of the connections whose keys the connectors of this DAG get, where a task names one; empty for a
    task by hand, without a DAG.
    """
    tasks = context["dag"].tasks if "dag" in context else []
    given = [getattr(task, "partial_kwargs", {}).get(CREDENTIAL) or getattr(task, CREDENTIAL, None) for task in tasks]
    return sorted(
        {str(context["task"].render_template(each, context)) for each in given if isinstance(each, str) and each}
    )


def know_keys(settings: TaskSettings, context: Context) -> None:
    """Read the keys that no error may show: the cluster relays the provider's words, so a task that asks the cluster
    alone may meet the provider's key, and the connector's. A task that needs an absent connection says so itself.
    """
    for conn_id in (settings.opensearch_conn_id, settings.provider_conn_id, *credential_connections(context)):
        with suppress(AirflowNotFoundException, PermissionError):  # a secrets backend may refuse what nobody needs here
            remember_connection(BaseHook.get_connection(conn_id))


def open_provider_store(settings: TaskSettings) -> ProviderStore:
    from opensearch_batch.providers.store import open_store

    return open_store(settings.provider, BaseHook.get_connection(settings.provider_conn_id), settings.job)


def cluster(opensearch_conn_id: str) -> Callable[[Call], Any]:
    """The way to send Calls, from any thread: the connection is looked up here. Imports the HTTP clients."""
    hook = _hook(opensearch_conn_id)
    hook.get_conn()
    return hook.send


def _hook(opensearch_conn_id: str) -> MLCommonsHook:
    from opensearch_batch.cluster.hook import MLCommonsHook

    return MLCommonsHook(opensearch_conn_id)


def flat(values: Any) -> list[dict[str, Any]]:
    """Flatten an entry, a bundle or several bundles; Airflow hands on a mapped task's only index as a bare entry."""
    if isinstance(values, Mapping):
        return [dict(values)]
    if isinstance(values, str):
        raise SpecError(
            f"{values[:80]!r} is text; hand on the task's output itself (submit.output), not a template of it"
        )
    inner: list[dict[str, Any]] = []
    for value in values:
        inner.extend(flat(value or []))
    return inner


def flat_given(values: Any, what: str, then: str = "Clear it, with what follows") -> list[dict[str, Any]]:
    """Flatten what a task before has given. Raise SpecError for None: Airflow goes on after a task that was marked
    successful by hand, or skipped where the trigger rule allows it, and such a task has given nothing.
    """
    if values is None:
        raise SpecError(f"the task before gave no {what}: it was skipped, or marked successful by hand. {then}")
    return flat(values)


def worker_ask(settings: TaskSettings) -> Callable[[Ask], Any]:
    """Return how a worker answers the questions of looking.py; the first question for the provider opens the store."""
    return asker(_hook(settings.opensearch_conn_id).send, cache(lambda: open_provider_store(settings)))


def cancel_jobs(settings: TaskSettings, jobs: Sequence[Job]) -> list[str]:
    """Cancel each job still running, but for another run's; return an error line for each job that may go on."""
    told: set[str] = set()
    ask = worker_ask(settings)
    left: list[str] = []
    for job in jobs:
        if job.shared_with:
            log.info("%s is the run %s's, and is left to it", job.name, job.shared_with)
            continue
        try:
            if drive(cancel_running(job, settings.provider, told), ask) is None:
                log.info("cancelled %s", job.name)
        except BatchError as error:
            left.append(f"{job.name}: {error}")
    return left


def refuse_local_work(spec: BatchSpec) -> None:
    """Raise SpecError where shards on one machine's disk would be out of the other workers' reach."""
    executor = conf.get("core", "executor", fallback="LocalExecutor")
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD"):  # there the setting says LocalExecutor
        executor = "KubernetesExecutor"
    local = all(name.strip().endswith(("LocalExecutor", "SequentialExecutor")) for name in executor.split(","))
    if spec.work_uri.startswith("file://") and not spec.work_is_shared and not local:
        raise SpecError(
            f"work_uri {spec.work_uri} is on one machine, and {executor} has several. Put it on object "
            "storage, or declare work_is_shared: true when it is mounted on every worker."
        )
