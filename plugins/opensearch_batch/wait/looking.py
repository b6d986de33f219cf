"""Looking at a job: through the cluster, or at the provider where the cluster cannot answer. The decisions, without
I/O.

`look` yields questions; `drive` (workers) and `adrive` (the trigger) send the questions over clients of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster.ml_commons import Call, cancel_task, get_task
from opensearch_batch.errors import BatchError, CannotLook, UnknownAnswer
from opensearch_batch.flow.jobs import Job, RemoteJob, ended, is_running
from opensearch_batch.providers.protocol import Provider

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AskCluster:
    """Send `call` to the cluster."""

    call: Call


@dataclass(frozen=True)
class AskProvider:
    """Get the provider's own record of the job, or cancel the job."""

    job_id: str
    cancel: bool = False


Ask = AskCluster | AskProvider
Asking = Generator[Ask, Any, RemoteJob | None]


def look(job: Job, provider: Provider, told: set[str]) -> Asking:
    """Look at the job once. `told` holds the kinds of lines already logged, so that a long wait logs each kind once.

    Raise UnknownAnswer for an unknown status, else the error of the last question.
    """
    if job.task_id is not None:
        try:
            return read_task((yield AskCluster(get_task(job.task_id))), provider)
        except UnknownAnswer:
            raise
        except BatchError as error:
            _say_once(told, error)
    return provider.read_job((yield AskProvider(job.provider_job_id)))


def confirm(job: Job, provider: Provider, told: set[str]) -> Asking:
    """Look at a job after the provider's list showed an end. A look through the cluster corrects the cluster's record
    and frees the counted task; where the cluster still says running, the provider's own answer counts.
    """
    remote = yield from look(job, provider, told)
    if remote is not None and ended(remote):
        return remote
    return provider.read_job((yield AskProvider(job.provider_job_id)))


def cancel(job: Job, told: set[str]) -> Asking:
    """Cancel through the cluster, else at the provider. Raise the provider's refusal for an ended job."""
    if job.task_id is not None:
        try:
            yield AskCluster(cancel_task(job.task_id))
        except BatchError as error:
            _say_once(told, error)
        else:
            return None
    yield AskProvider(job.provider_job_id, cancel=True)
    return None


def cancel_running(job: Job, provider: Provider, told: set[str]) -> Asking:
    """Cancel the job if it runs; return None, or the job where there was nothing to cancel.

    A refusal counts only where the job runs after it: the job may have ended since the look.
    """
    remote = yield from look(job, provider, told)
    if remote is not None and not is_running(remote):
        return remote
    try:
        yield from cancel(job, told)
    except BatchError:
        after = provider.read_job((yield AskProvider(job.provider_job_id)))
        if is_running(after):
            raise
        return after
    return None


def drive(asking: Asking, ask: Callable[[Ask], Any]) -> RemoteJob | None:
    try:
        step = next(asking)
        while True:
            try:
                answer = ask(step)
            except BatchError as error:
                step = asking.throw(error)
            else:
                step = asking.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def adrive(asking: Asking, ask: Callable[[Ask], Awaitable[Any]]) -> RemoteJob | None:
    try:
        step = next(asking)
        while True:
            try:
                answer = await ask(step)
            except BatchError as error:
                step = asking.throw(error)
            else:
                step = asking.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _say_once(told: set[str], error: BatchError) -> None:
    kind = "cannot see this job" if isinstance(error, CannotLook) else "did not answer for it"
    if kind not in told:
        told.add(kind)
        level = logging.INFO if isinstance(error, CannotLook) else logging.WARNING
        log.log(level, "The cluster %s: it is followed at the provider. %s", kind, error)


def asker(send: Callable[[Call], Any], store: Callable[[], Any]) -> Callable[[Ask], Mapping[str, Any] | None]:
    """Return a way to ask over a worker's hook and the provider's store; the first question opens the store."""

    def ask(step: Ask) -> Mapping[str, Any] | None:
        if isinstance(step, AskCluster):
            return send(step.call)  # type: ignore[no-any-return]
        act = store().cancel_job if step.cancel else store().get_job
        return act(step.job_id)  # type: ignore[no-any-return]

    return ask


TASK_STATES = frozenset(
    [
        "CREATED",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "COMPLETED_WITH_ERROR",
        "CANCELLING",
        "EXPIRED",
        "UNREACHABLE",
    ]
)
"""org.opensearch.ml.common.MLTaskState. An unknown state ends the wait; else the provider's own status decides."""


def read_task(document: Mapping[str, Any], provider: Provider) -> RemoteJob:
    """Read the provider's job in a task document. Raise UnknownAnswer for an unknown state or status."""
    if document.get("state") not in TASK_STATES:
        raise UnknownAnswer(f"task state {document.get('state')!r} is not known to this version")
    return provider.read_job(document.get("remote_job") or {})
