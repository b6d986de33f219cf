"""What the operators and the sensor share: connections by id, a spec that fills in what was not given, errors in
Airflow's terms.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from airflow.sdk import BaseHook, BaseOperator, Context, conf

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, SpecError
from opensearch_batch.flow.jobs import Job, ended
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.wait.looking import Ask, asker, cancel, drive, look


class BatchOperator(BaseOperator):
    """Base of the operators; `run_step` may raise any BatchError.

    :param spec: a spec as a dict, or the path of its YAML file; fills in what is not given here.
    :param provider: name of the provider; default: the spec's, else the first one.
    :param opensearch_conn_id: connection to the cluster; default: the spec's, else opensearch_default.
    :param provider_conn_id: connection to the provider; default: the spec's, else the provider's own.
    :param job: what the vendor's job needs besides its rows, as `model.job` of a spec; needed where something is
        submitted or registered, and only by vendors that need anything.
    """

    template_fields: Sequence[str] = ("spec", "provider", "opensearch_conn_id", "provider_conn_id", "job")
    template_fields_renderers = {"spec": "json", "job": "json"}
    ui_color = "#d9eef7"

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
            fill_connections(self)
            return self.run_step(context)

    @abstractmethod
    def run_step(self, context: Context) -> Any: ...


def fill_connections(operator: Any) -> None:
    """Arguments first, then the spec, then the provider's own names."""
    spec = BatchSpec.of(operator.spec) if operator.spec else None
    operator.provider = operator.provider or (spec.model.provider if spec else providers.DEFAULT.NAME)
    default = spec.provider_connection if spec else providers.get(operator.provider).CONNECTION
    operator.provider_conn_id = operator.provider_conn_id or default
    operator.opensearch_conn_id = operator.opensearch_conn_id or (
        spec.connections.opensearch if spec else "opensearch_default"
    )
    if spec and not getattr(operator, "job", None):
        operator.job = spec.model.job


def open_provider_store(operator: Any) -> Any:
    from opensearch_batch.providers.store import open_store

    connection = BaseHook.get_connection(operator.provider_conn_id)
    return open_store(providers.get(operator.provider), connection, getattr(operator, "job", None))


def cluster(operator: Any) -> Any:
    """The way to send Calls, from any thread: the connection is looked up here. Imports the HTTP clients."""
    hook = _hook(operator)
    hook.get_conn()
    return hook.send


def _hook(operator: Any) -> Any:
    from opensearch_batch.cluster.hook import MLCommonsHook

    return MLCommonsHook(operator.opensearch_conn_id)


def flat(values: Any) -> list[dict[str, Any]]:
    """One entry, a bundle, or several; Airflow hands on the output of a mapped task with a single index as that one."""
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


def worker_ask(operator: Any) -> Callable[[Ask], Any]:
    """How a worker asks what looking.py wants to know; the provider's store is opened when it is first needed."""
    return asker(_hook(operator).send, cache(lambda: open_provider_store(operator)))


def cancel_jobs(operator: Any, jobs: list[dict[str, Any]]) -> list[str]:
    """Cancel each job that still runs; return what went wrong, a line for each job that may go on."""
    told: set[str] = set()
    ask = worker_ask(operator)
    left: list[str] = []
    for job in map(Job.from_dict, jobs):
        try:
            remote = drive(look(job, providers.get(operator.provider), told), ask)
            if remote is not None and not ended(remote):
                drive(cancel(job, told), ask)
                operator.log.info("cancelled %s", job.name)
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
