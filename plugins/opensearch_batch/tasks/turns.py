"""Turns: the limits, the pool and the deferred wait that submitting tasks share."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from opensearch_batch.errors import PaidBefore, Refused, SpecError, TriedLongEnough
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import exists
from opensearch_batch.submit.admission import Admission, Limits, MustWait, Wanted, in_flight, pool_command, pool_name
from opensearch_batch.submit.note import Memory, Note, noted
from opensearch_batch.submit.submission import Submitter
from opensearch_batch.tasks.base import cluster, credential_connections, open_provider_store
from opensearch_batch.tasks.claiming import claimant_of
from opensearch_batch.tasks.deadlines import timeout_hours
from opensearch_batch.tasks.finishing import finish_of
from opensearch_batch.tasks.settings import TaskSettings
from opensearch_batch.tasks.turn_trigger import TurnTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

DEFAULT_POOL = "default_pool"
FULL_WAIT_SECONDS = 3600.0
"""Once the provider turned a job away, the next attempt comes when fewer jobs are in flight, or after so long."""


def limits_of(jobs: int | None, tokens: int | None, spec: BatchSpec | None) -> Limits:
    """Return a task's limits of jobs in flight: the arguments' first, then the spec's."""
    said = spec.limits if spec else None
    return Limits(
        jobs if jobs is not None or said is None else said.max_jobs_in_flight,
        tokens if tokens is not None or said is None else said.max_enqueued_tokens,
    )


@dataclass(frozen=True)
class SubmitRules:
    """The rules of a task's submissions: limits of jobs in flight, and the pool that guards those limits."""

    task_id: str
    pool: str
    limits: Limits

    def check(self, spec: BatchSpec | None) -> None:
        """Raise SpecError where a limit is to hold, but nothing keeps two tasks from submitting at once.

        A task cannot see whether the pool has one slot; Airflow never runs a task whose pool does not exist.
        """
        if self.limits and self.pool == DEFAULT_POOL:
            pool = pool_name(spec.registered_as if spec else "submits")
            raise SpecError(
                f"{self.task_id}: a limit of what is in flight needs a pool of one slot. Make it: "
                f"{pool_command(pool)}; then give the operator pool={pool!r} (batch_inference: submit_pool={pool!r})"
            )


def admission_of(
    settings: TaskSettings,
    limits: Limits,
    store: ProviderStore,
    *,
    below: int | None = None,
    below_until: float = 0.0,
) -> Admission:
    return Admission(
        limits=limits,
        count=lambda: in_flight(store, settings.provider, settings.model, limits, time.time()),
        below=below,
        below_until=below_until,
    )


def turn_trigger(
    context: Context,
    settings: TaskSettings,
    limits: Limits,
    full: MustWait,
    poll_seconds: float,
    carried: Any,
    submitted: Sequence[Job],
    *,
    cancel_on_kill: bool = True,
) -> TurnTrigger:
    """The trigger to defer to until the job that must wait may be submitted, or is to be tried again. The task has
    `submitted` jobs already.
    """
    log.info("%s. Deferred: no worker and no pool slot is held", str(full).rstrip("."))
    return TurnTrigger(
        wanted=full.wanted.to_dict(),
        max_jobs=limits.jobs,
        max_tokens=limits.tokens,
        model=settings.model,
        provider=settings.provider.NAME,
        provider_conn_id=settings.provider_conn_id,
        poll_seconds=poll_seconds,
        carried=carried,
        job=settings.job,
        jobs=[job.to_dict() for job in submitted],
        opensearch_conn_id=settings.opensearch_conn_id,
        cancel_on_kill=cancel_on_kill,
        credential_conn_ids=credential_connections(context),
    )


def next_try(context: Context, settings: TaskSettings, full: MustWait, fruitless_since: float) -> Wanted:
    """Return what to wait with for the next try of a submission whose tries have brought no job since then (epoch
    seconds). Raise TriedLongEnough where the last try was due: so long a job in the way may take to end, and at
    `wait.finish_by` at the latest.
    """
    now, until = time.time(), fruitless_since + timeout_hours(settings) * 3600
    if (finish := finish_of(context, settings.spec)) is not None:
        until = min(until, finish)
    if now >= until:
        hours = (now - fruitless_since) / 3600
        raise TriedLongEnough(
            f"{str(full).rstrip('.')}. No try has brought a job for {hours:.1f} hours, and this was the last "
            "(wait.timeout_hours, wait.finish_by). Jobs that this task has submitted go on, and are paid for. Clear "
            "this task once there is room: it submits the rest, and nothing twice"
        )
    not_before = min(full.wanted.not_before or now, until)
    return replace(full.wanted, not_before=not_before, fruitless_since=fruitless_since)


def turned_away(outcomes: Sequence[Outcome], provider: Provider) -> list[Outcome]:
    """Return the Outcomes of jobs that the provider accepted and then failed at a limit, without an answer."""
    codes = provider.NO_ROOM_CODES
    return [each for each in outcomes if each.state == "failed" and each.error_code in codes and not each.outputs]


def submit_again(context: Context, settings: TaskSettings, rules: SubmitRules, outcome: Outcome) -> bool:
    """Submit this job's rows anew and note the new job under the job's key. False: the job stands as the job ended.

    The job stands when the provider turned it away although nothing else was in flight, when the job has no shard, or
    when a new job is refused, or another run has paid for the rows meanwhile: the bundle keeps the results of the other
    jobs. Raise MustWait until fewer jobs are in flight than when the provider turned the job away, for an hour at most;
    and where the new submission has to be tried again.
    """
    try:
        return _submit_again(context, settings, rules, outcome)
    except (Refused, PaidBefore, TriedLongEnough) as error:
        log.warning("%s was turned away for want of room, and a new job was refused: %s", outcome.job.name, error)
        return False


def _submit_again(context: Context, settings: TaskSettings, rules: SubmitRules, outcome: Outcome) -> bool:
    job, memory = outcome.job, context["task_state_store"]
    if job.shard is None or memory.get(_others(job)) == 0:
        log.warning(
            "%s: the provider has no room for it%s: %s",
            job.name,
            "" if job.shard is None else ", with nothing else in flight (lower limits.max_bytes)",
            outcome.error_message,
        )
        return False
    rules.check(settings.spec)
    store = open_provider_store(settings)
    bar = _bar_of(job, memory, settings, store)
    below_until = bar["since"] + FULL_WAIT_SECONDS
    admission = admission_of(settings, rules.limits, store, below=bar["below"], below_until=below_until)
    try:
        again = _submitter_of(job, context, settings, store, admission).submit_again(job)
    except MustWait as full:
        if full.wanted.not_before:
            full.wanted = next_try(context, settings, full, bar["since"])
        full.wanted = replace(full.wanted, since=bar["since"])
        raise
    if again.provider_job_id == job.provider_job_id:  # a repair round has its rows
        return False
    if admission.others is not None:
        memory.set(_others(again), admission.others)
    log.info("%s was turned away for want of room; it goes on as %s", job.name, again.name)
    return True


def _bar_of(job: Job, memory: Memory, settings: TaskSettings, store: ProviderStore) -> Any:
    """Return how many jobs were in flight when the provider turned the job away, and when that was; noted once."""
    if (bar := memory.get(_bar(job))) is not None:
        return bar
    now, others = time.time(), memory.get(_others(job))
    if others is None:
        others = len(in_flight(store, settings.provider, settings.model, Limits(), now))
    bar = {"below": max(1, int(others)), "since": now}
    memory.set(_bar(job), bar)
    return bar


def _submitter_of(
    job: Job, context: Context, settings: TaskSettings, store: ProviderStore, admission: Admission
) -> Submitter:
    parameters = job.parameters or {}
    claimant = claimant_of(context, settings, store, job.model_id, parameters)
    return Submitter(
        send=cluster(settings.opensearch_conn_id),
        store=store,
        provider=settings.provider,
        memory=context["task_state_store"],
        run="",
        model_id=job.model_id,
        parameters=parameters,
        admission=admission,
        is_there=exists,
        claim=claimant,
        shared=claimant.before,
    )


def current_jobs(jobs: Sequence[Job], memory: Memory) -> list[Job]:
    """Return for each job the newest attempt. Raise UnknownAnswer for a dict that is not a Job."""
    return [_latest(job, noted(memory, job.key), memory) for job in jobs]


def _latest(job: Job, note: Note | None, memory: Memory) -> Job:
    """The tasks that submit and wait do not agree on the attempts of shared jobs: such a note counts only where this
    task has made it in place of this job. A job that came after it, paid for by the run itself, would never land.
    """
    if not (note and note.job and note.job.attempt > job.attempt):
        return job
    return job if note.job.shared_with and memory.get(_bar(job)) is None else note.job


def _bar(job: Job) -> str:
    return f"bar-{job.provider_job_id}"


def _others(job: Job) -> str:
    return f"others-{job.provider_job_id}"
