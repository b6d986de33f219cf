"""SubmitBatchOperator: a bundle's jobs, as far as there is room for them; for the rest it waits deferred. And what ends
them, CancelBatchOperator.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opensearch_batch import providers
from opensearch_batch.errors import Unavailable
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.admission import NoRoom
from opensearch_batch.tasks.base import BatchOperator, cancel_jobs, cluster, fill_connections, flat, open_provider_store
from opensearch_batch.tasks.errors import airflow_errors
from opensearch_batch.tasks.links import ProviderLink, TaskLink
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

    def run_step(self, context: Context) -> list[dict[str, Any]]:
        return self._submit(context, [], None)

    def turn_came(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """Go on after a wait for room; what was submitted before it is not looked at again."""
        with airflow_errors():
            fill_connections(self)
            submitted, since = read_turn(event)
            return self._submit(context, submitted or [], since)

    def _submit(self, context: Context, before: list[dict[str, Any]], since: float | None) -> list[dict[str, Any]]:
        from opensearch_batch.flow.shards import Shard
        from opensearch_batch.storage import connect, exists
        from opensearch_batch.submit.submission import Submitter
        from opensearch_batch.tasks.side_by_side import OneAtATime, side_by_side
        from opensearch_batch.tasks.turns import admission_of, check_pool, limits_of, wait_for_turn

        check_pool(self)
        store = open_provider_store(self)
        submitter = Submitter(
            send=cluster(self),
            store=store,
            provider=providers.get(self.provider),
            memory=OneAtATime(context["task_state_store"]),
            run=self._run_name(context),
            model_id=self.model_id,
            parameters=self.parameters or {},
            settle_seconds=self.settle_seconds,
            is_there=exists,
            admission=admission_of(self, store) if limits_of(self) else None,
        )
        shards = [None] if self.shards is None else [Shard.from_dict(shard) for shard in flat(self.shards)]
        connect(shard.uri for shard in shards if shard)
        earlier = {Shard.from_dict(job["shard"]): job for job in before}

        def submit(shard: Shard | None) -> dict[str, Any] | NoRoom:
            try:
                if shard is None:
                    return submitter.submit_parameters().to_dict()
                return earlier.get(shard) or submitter.submit(shard).to_dict()
            except NoRoom as full:  # no error: it must not hide what went wrong with another shard
                return full

        made = side_by_side(submit, shards, lambda shard: shard.name if shard else "parameters")
        self.linked_jobs = [job for job in made if not isinstance(job, NoRoom)]
        if waiting := [full.wanted for full in made if isinstance(full, NoRoom)]:
            wanted = replace(waiting[0], since=since or waiting[0].since)
            wait_for_turn(self, wanted, self._poll_seconds(), "turn_came", carried=self.linked_jobs)
        return self.linked_jobs

    def _run_name(self, context: Context) -> str:
        """What makes jobs of the same rows different ones."""
        name = f"{self.dag_id}|{context['dag_run'].run_id}|{self.task_id}"
        if providers.get(self.provider).MODEL_IN_LINES:
            return name
        model = BatchSpec.of(self.spec).model if self.spec else None
        asked = json.dumps([model.name, model.parameters], sort_keys=True) if model else ""
        return f"{name}|{self.model_id}|{asked}"

    def _poll_seconds(self) -> float:
        return self.poll_seconds or (BatchSpec.of(self.spec).wait.poll_seconds if self.spec else 60.0)


class CancelBatchOperator(BatchOperator):
    """Cancel jobs, through the cluster or where that cannot at the provider; jobs that have ended are passed over.

    :param jobs: what SubmitBatchOperator returned.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "jobs")

    def __init__(self, *, jobs: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs

    def run_step(self, context: Context) -> None:
        if left := cancel_jobs(self, flat(self.jobs)):
            raise Unavailable("not cancelled: " + "; ".join(left))
