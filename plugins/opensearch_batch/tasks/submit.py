"""SubmitBatchOperator: a bundle's jobs, as far as there is room for them; for the rest it waits deferred. And what ends
them, CancelBatchOperator.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from opensearch_batch.errors import Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.admission import NoRoom
from opensearch_batch.tasks.base import BatchOperator, cancel_jobs, cluster, flat, open_provider_store
from opensearch_batch.tasks.errors import airflow_errors
from opensearch_batch.tasks.links import ProviderLink, TaskLink
from opensearch_batch.tasks.settings import TaskSettings, settings_of
from opensearch_batch.tasks.turn_trigger import read_turn

if TYPE_CHECKING:
    from airflow.sdk import Context


class SubmitBatchOperator(BatchOperator):
    """Submit a bundle of shards, one job each, several at a time; return the Jobs in the order of the shards.

    Repeating never pays twice (see submission.py). One that fails keeps no other from being submitted.

    :param model_id: what RegisterModelOperator returned.
    :param shards: what PrepareInputOperator returned, or one element of it.
    :param parameters: override the connector's parameters. Without shards they must name the provider's input file.
    :param max_jobs_in_flight: of this model at the provider over all runs, other programs with the same key included;
        without a spec of every model. Where there is no room the task waits deferred. Needs `pool=` of one slot, which
        all tasks share that submit to the model. Airflow never runs a task whose pool does not exist.
    :param max_enqueued_tokens: likewise; a job counts as its input file's bytes / 4.
    :param settle_seconds: how long a job is looked for after an answer was lost, before its file may be submitted
        again.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "model_id", "shards", "parameters")
    template_fields_renderers = {"shards": "json", "parameters": "json", "spec": "json"}
    operator_extra_links = (TaskLink(), ProviderLink())

    def __init__(
        self,
        *,
        model_id: Any,
        shards: Any = None,
        parameters: Any = None,
        settle_seconds: float | None = None,
        max_jobs_in_flight: int | None = None,
        max_enqueued_tokens: int | None = None,
        poll_seconds: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_id = model_id
        self.shards = shards
        self.parameters = parameters
        self.settle_seconds = settle_seconds
        self.max_jobs_in_flight = max_jobs_in_flight
        self.max_enqueued_tokens = max_enqueued_tokens
        self.poll_seconds = poll_seconds

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        return [job.to_dict() for job in self._submit(context, settings, [], None)]

    def turn_came(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """Go on after a wait for room; what was submitted before it is not looked at again."""
        with airflow_errors():
            submitted, since = read_turn(event)
            before = [Job.from_dict(job) for job in submitted or []]
            return [job.to_dict() for job in self._submit(context, settings_of(self), before, since)]

    def _submit(self, context: Context, settings: TaskSettings, before: list[Job], since: float | None) -> list[Job]:
        from opensearch_batch.flow.shards import Shard
        from opensearch_batch.storage import connect, exists
        from opensearch_batch.submit.submission import Submitter
        from opensearch_batch.tasks.side_by_side import OneAtATime, side_by_side
        from opensearch_batch.tasks.turns import SubmitRules, admission_of, limits_of, turn_trigger

        limits = limits_of(self.max_jobs_in_flight, self.max_enqueued_tokens, settings.spec)
        SubmitRules(self.task_id, self.pool, limits).check(settings.spec)
        store = open_provider_store(settings)
        submitter = Submitter(
            send=cluster(settings.opensearch_conn_id),
            store=store,
            provider=settings.provider,
            memory=OneAtATime(context["task_state_store"]),
            run=self._run_name(context, settings),
            model_id=self.model_id,
            parameters=self.parameters or {},
            settle_seconds=self.settle_seconds,
            is_there=exists,
            admission=admission_of(settings, limits, store) if limits else None,
        )
        shards = [None] if self.shards is None else [Shard.from_dict(shard) for shard in flat(self.shards)]
        connect(shard.uri for shard in shards if shard)
        earlier = {job.shard: job for job in before}

        def submit(shard: Shard | None) -> Job | NoRoom:
            try:
                if shard is None:
                    return submitter.submit_parameters()
                return earlier.get(shard) or submitter.submit(shard)
            except NoRoom as full:  # no error: it must not hide what went wrong with another shard
                return full

        made = side_by_side(submit, shards, lambda shard: shard.name if shard else "parameters")
        self.linked_jobs = [job for job in made if not isinstance(job, NoRoom)]
        if waiting := [full.wanted for full in made if isinstance(full, NoRoom)]:
            wanted = replace(waiting[0], since=since or waiting[0].since)
            poll_seconds = self.poll_seconds or (settings.spec.wait.poll_seconds if settings.spec else 60.0)
            carried = [job.to_dict() for job in self.linked_jobs]
            trigger = turn_trigger(settings, limits, wanted, poll_seconds, carried)
            self.defer(trigger=trigger, method_name="turn_came")
        return self.linked_jobs

    def _run_name(self, context: Context, settings: TaskSettings) -> str:
        """What makes jobs of the same rows different ones."""
        name = f"{self.dag_id}|{context['dag_run'].run_id}|{self.task_id}"
        if settings.provider.MODEL_IN_LINES:
            return name
        model = settings.spec.model if settings.spec else None
        asked = json.dumps([model.name, model.parameters], sort_keys=True) if model else ""
        return f"{name}|{self.model_id}|{asked}"


class CancelBatchOperator(BatchOperator):
    """Cancel jobs, through the cluster or where that cannot at the provider; jobs that have ended are passed over.

    :param jobs: what SubmitBatchOperator returned.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "jobs")

    def __init__(self, *, jobs: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs

    def run_step(self, context: Context, settings: TaskSettings) -> None:
        if left := cancel_jobs(settings, [Job.from_dict(job) for job in flat(self.jobs)]):
            raise Unavailable("not cancelled: " + "; ".join(left))
