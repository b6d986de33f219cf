"""What submitting tasks share: whose limits hold, the pool they must pass, and how they wait for their turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from opensearch_batch import providers
from opensearch_batch.errors import Refused, SpecError
from opensearch_batch.flow.jobs import Job
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import exists
from opensearch_batch.submit.admission import Admission, Limits, NoRoom, Wanted, in_flight, pool_command, pool_name
from opensearch_batch.submit.submission import Submitter
from opensearch_batch.tasks.base import cluster, open_provider_store
from opensearch_batch.tasks.turn_trigger import TurnTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

DEFAULT_POOL = "default_pool"
FULL_WAIT_SECONDS = 3600.0
"""After the provider turned a job away it is tried again when fewer others are in flight, or after so long."""


def limits_of(operator: Any) -> Limits:
    """Arguments first, then the spec."""
    said = BatchSpec.of(operator.spec).limits if operator.spec else None
    jobs, tokens = operator.max_jobs_in_flight, operator.max_enqueued_tokens
    return Limits(
        jobs if jobs is not None or said is None else said.max_jobs_in_flight,
        tokens if tokens is not None or said is None else said.max_enqueued_tokens,
    )


def check_pool(operator: Any) -> None:
    """Raise SpecError where a limit is to hold, but nothing keeps two tasks from submitting at once.

    That the pool has one slot cannot be seen from a task; Airflow never runs one whose pool does not exist.
    """
    if limits_of(operator) and operator.pool == DEFAULT_POOL:
        pool = pool_name(BatchSpec.of(operator.spec).registered_as if operator.spec else "submits")
        raise SpecError(
            f"{operator.task_id}: a limit of what is in flight needs a pool of one slot. Make it: "
            f"{pool_command(pool)}; then give the operator pool={pool!r} (batch_inference: submit_pool={pool!r})"
        )


def admission_of(operator: Any, store: Any, *, below: int | None = None, below_until: float = 0.0) -> Admission:
    vendor, model, limits = providers.get(operator.provider), _model(operator), limits_of(operator)
    return Admission(
        limits=limits,
        count=lambda: in_flight(store, vendor, model, limits, time.time()),
        below=below,
        below_until=below_until,
    )


def wait_for_turn(
    operator: Any, wanted: Wanted, poll_seconds: float, method_name: str, carried: Any = None
) -> NoReturn:
    limits = limits_of(operator)
    operator.log.info("%s waits for its turn, deferred: no worker and no pool slot is held", wanted.name)
    operator.defer(
        trigger=TurnTrigger(
            wanted=wanted.to_dict(),
            max_jobs=limits.jobs,
            max_tokens=limits.tokens,
            model=_model(operator),
            provider=operator.provider,
            provider_conn_id=operator.provider_conn_id,
            poll_seconds=poll_seconds,
            carried=carried,
            job=operator.job,
        ),
        method_name=method_name,
    )
    raise AssertionError("defer() raises")


def turned_away(outcomes: Sequence[dict[str, Any]], provider: str) -> list[dict[str, Any]]:
    """The Outcomes of jobs that the provider accepted and then failed for want of room, without an answer."""
    codes = providers.get(provider).NO_ROOM_CODES
    return [
        each for each in outcomes if each["state"] == "failed" and each["error_code"] in codes and not each["outputs"]
    ]


def submit_again(operator: Any, context: Context, outcome: dict[str, Any]) -> bool:
    """Submit this job's rows anew and note the new job under the job's key. False: it stands as it ended.

    It stands when it was turned away although nothing else was in flight, when it has no shard, or when a new one is
    refused: the results of the others in its bundle are not lost for that. Raise NoRoom when it has to wait: first for
    fewer jobs than there were when it was turned away, for an hour at most.
    """
    try:
        return _submit_again(operator, context, outcome)
    except Refused as error:
        job = Job.from_dict(outcome["job"])
        operator.log.warning("%s was turned away for want of room, and a new job was refused: %s", job.name, error)
        return False


def _submit_again(operator: Any, context: Context, outcome: dict[str, Any]) -> bool:
    job, memory = Job.from_dict(outcome["job"]), context["task_state_store"]
    others: Any = memory.get(f"others-{job.provider_job_id}")
    if job.shard is None or others == 0:
        operator.log.warning(
            "%s: the provider has no room for it%s: %s",
            job.name,
            "" if job.shard is None else ", with nothing else in flight (lower limits.max_bytes)",
            outcome["error_message"],
        )
        return False
    check_pool(operator)
    store = open_provider_store(operator)
    bar: Any = memory.get(f"bar-{job.provider_job_id}")
    if bar is None:
        now = time.time()
        if others is None:
            others = len(in_flight(store, providers.get(operator.provider), _model(operator), Limits(), now))
        bar = {"below": max(1, int(others)), "since": now}
        memory.set(f"bar-{job.provider_job_id}", bar)
    admission = admission_of(operator, store, below=bar["below"], below_until=bar["since"] + FULL_WAIT_SECONDS)
    submitter = Submitter(
        send=cluster(operator),
        store=store,
        provider=providers.get(operator.provider),
        memory=memory,
        run="",
        model_id=job.model_id,
        parameters=job.parameters or {},
        admission=admission,
        is_there=exists,
    )
    try:
        again = submitter.submit_again(job)
    except NoRoom as full:
        raise NoRoom(replace(full.wanted, since=bar["since"]), int(bar["below"])) from None
    if again.provider_job_id == job.provider_job_id:  # a repair round has its rows
        return False
    if admission.others is not None:
        memory.set(f"others-{again.provider_job_id}", admission.others)
    operator.log.info("%s was turned away for want of room; it goes on as %s", job.name, again.name)
    return True


def current_jobs(jobs: Sequence[dict[str, Any]], memory: Any) -> list[dict[str, Any]]:
    """Of each job the one that took its place, where there is one. Raise UnknownAnswer for what is not a Job."""
    current = []
    for old in map(Job.from_dict, jobs):
        noted = (memory.get(old.key) or {}).get("job")
        new = Job.from_dict(noted) if noted else old
        current.append((new if new.attempt > old.attempt else old).to_dict())
    return current


def _model(operator: Any) -> str | None:
    return BatchSpec.of(operator.spec).model.name if operator.spec else None
