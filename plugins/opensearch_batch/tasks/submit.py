"""SubmitBatchOperator: submits a bundle's jobs within the limits, and waits deferred for further turns.
CancelBatchOperator: ends jobs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from opensearch_batch.errors import Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.admission import MustWait
from opensearch_batch.tasks.base import BatchOperator, cancel_jobs, cluster, flat_given, know_keys, open_provider_store
from opensearch_batch.tasks.errors import airflow_errors
from opensearch_batch.tasks.forced import FORCE, force_word
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.links import JobsLink, ProviderLink
from opensearch_batch.tasks.metrics import time_turn
from opensearch_batch.tasks.settings import TaskSettings, settings_of
from opensearch_batch.tasks.turn_trigger import Turn, read_turn

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.submit.admission import Limits
    from opensearch_batch.submit.submission import Submitter


class SubmitBatchOperator(BatchOperator):
    """Submit a bundle of shards, one job each, several at a time; return the Jobs in the order of the shards.

    Repeating never pays twice (see submission.py). A failed submission does not stop the other submissions.

    Where cluster or provider have no room for a job, and where another run may be sending the same rows, the task waits
    deferred and tries again every five minutes, until `wait.timeout_hours` have passed without a new job.

    :param model_id: the model's id, as RegisterModelOperator returns it.
    :param shards: the bundles that PrepareInputOperator returned, or a single bundle.
    :param parameters: override the connector's parameters. Without shards the parameters must name the provider's input
        file.
    :param max_jobs_in_flight: live jobs of this model at the provider over all runs, other programs with the same key
        included; without a spec of every model. At the limit the task waits deferred. Needs `pool=` of one slot, shared
        by all tasks that submit to the model. Airflow never runs a task whose pool does not exist.
    :param max_enqueued_tokens: likewise; a job counts as the bytes / 4 of the job's input file.
    :param settle_seconds: seconds to look for a job after a lost answer, before the same file may be submitted again.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "model_id", "shards", "parameters")
    template_fields_renderers = {"shards": "json", "parameters": "json", "spec": "json"}
    operator_extra_links = (JobsLink(), ProviderLink())

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
        self.takes_shards = shards is not None  # what another task was to give may be None when it is rendered
        self.parameters = parameters
        self.settle_seconds = settle_seconds
        self.max_jobs_in_flight = max_jobs_in_flight
        self.max_enqueued_tokens = max_enqueued_tokens
        self.poll_seconds = poll_seconds

    @property
    def index_name(self) -> str:
        return index_name(self.shards)

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        return [job.to_dict() for job in self._submit(context, settings, [], Turn())]

    def turn_came(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """Go on after a wait for a turn; jobs submitted before the wait get no second look."""
        with airflow_errors():
            turn = read_turn(event)
            before, settings = [Job.from_dict(job) for job in turn.carried or []], settings_of(self)
            know_keys(settings, context)
            return [job.to_dict() for job in self._submit(context, settings, before, turn)]

    def _submit(self, context: Context, settings: TaskSettings, before: list[Job], turn: Turn) -> list[Job]:
        from opensearch_batch.lineage.steps import of_submit
        from opensearch_batch.tasks.lineage import way_of
        from opensearch_batch.tasks.turns import SubmitRules, limits_of, next_try, turn_trigger

        limits = limits_of(self.max_jobs_in_flight, self.max_enqueued_tokens, settings.spec)
        SubmitRules(self.task_id, self.pool, limits).check(settings.spec)
        made = self._made(self._submitter(context, settings, limits), before)
        self.linked_jobs = [job for job in made if not isinstance(job, MustWait)]
        if waiting := [full for full in made if isinstance(full, MustWait)]:
            # Where one is to be tried again a turn would come at once, and find what is in the way again.
            full = next((each for each in waiting if each.wanted.not_before), waiting[0])
            if full.wanted.not_before:
                fruitless_since = turn.fruitless_since if len(self.linked_jobs) == len(before) else 0.0
                full.wanted = next_try(context, settings, full, fruitless_since or time.time())
            full.wanted = replace(full.wanted, since=turn.since or full.wanted.since)
            poll_seconds = self.poll_seconds or (settings.spec.wait.poll_seconds if settings.spec else 60.0)
            carried = [job.to_dict() for job in self.linked_jobs]
            trigger = turn_trigger(context, settings, limits, full, poll_seconds, carried, self.linked_jobs)
            self.defer(trigger=trigger, method_name="turn_came")
        time_turn(context, turn.since)
        self.lineage = partial(of_submit, way_of(context, settings), self.linked_jobs)
        return self.linked_jobs

    def _submitter(self, context: Context, settings: TaskSettings, limits: Limits) -> Submitter:
        from opensearch_batch.storage import exists
        from opensearch_batch.submit.submission import Submitter
        from opensearch_batch.tasks.claiming import claimant_of
        from opensearch_batch.tasks.side_by_side import OneAtATime
        from opensearch_batch.tasks.turns import admission_of

        store = open_provider_store(settings)
        claimant = claimant_of(context, settings, store, self.model_id, self.parameters or {})
        return Submitter(
            send=cluster(settings.opensearch_conn_id),
            store=store,
            provider=settings.provider,
            memory=OneAtATime(context["task_state_store"]),
            run=self._run_name(context, settings),
            model_id=self.model_id,
            parameters=self.parameters or {},
            settle_seconds=self.settle_seconds,
            is_there=exists,
            claim=claimant,
            shared=claimant.before,
            admission=admission_of(settings, limits, store) if limits else None,
        )

    def _made(self, submitter: Submitter, before: list[Job]) -> list[Job | MustWait]:
        """Submit all shards but those of the jobs `before`; return each shard's job, or why it must wait."""
        from opensearch_batch.storage import connect
        from opensearch_batch.tasks.side_by_side import side_by_side

        shards = self._shards()
        connect(shard.uri for shard in shards if shard)
        earlier = {job.shard: job for job in before}

        def submit(shard: Shard | None) -> Job | MustWait:
            try:
                if shard is None:
                    return submitter.submit_parameters()
                return earlier.get(shard) or submitter.submit(shard)
            except MustWait as full:  # no error: it must not hide what went wrong with another shard
                return full

        return side_by_side(submit, shards, lambda shard: shard.name if shard else "parameters")

    def _shards(self) -> Sequence[Shard | None]:
        """None stands for the rows that the parameters, or the connector, name."""
        from opensearch_batch.flow.shards import Shard

        if not self.takes_shards:
            return [None]
        given = flat_given(self.shards, "shards", "Nothing was sent. Clear it, with what follows")
        return [Shard.from_dict(shard) for shard in given]

    def _run_name(self, context: Context, settings: TaskSettings) -> str:
        """Name the run, so that jobs of the same rows differ between runs, tasks, models and deliberate payments."""
        name = f"{self.dag_id}|{context['dag_run'].run_id}|{self.task_id}"
        if word := force_word(context):
            name = f"{name}|{FORCE}={word}"
        if settings.provider.MODEL_IN_LINES:
            return name
        model = settings.spec.model if settings.spec else None
        wanted = json.dumps([model.name, model.parameters], sort_keys=True) if model else ""
        return f"{name}|{self.model_id}|{wanted}"


class CancelBatchOperator(BatchOperator):
    """Cancel jobs through the cluster, or at the provider where the cluster cannot; skip jobs that have ended.

    :param jobs: the Jobs that SubmitBatchOperator returned.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "jobs")

    def __init__(self, *, jobs: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs

    def run_step(self, context: Context, settings: TaskSettings) -> None:
        given = flat_given(self.jobs, "jobs", "Nothing was cancelled: look for its jobs at the provider")
        if left := cancel_jobs(settings, [Job.from_dict(job) for job in given]):
            raise Unavailable("not cancelled: " + "; ".join(left))
