"""BatchSensor: waits for a bundle of jobs without holding a worker, and returns how every job ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferralTimeout

from opensearch_batch.errors import BatchError, SpecError, Terminal, Transient, Unavailable, UnknownAnswer
from opensearch_batch.flow.jobs import Job, Outcome, ended, outcome, status_line
from opensearch_batch.submit.admission import MustWait
from opensearch_batch.tasks.base import cancel_jobs, credential_connections, flat, know_keys, worker_ask
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.tasks.finishing import finish_of, is_finished
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.links import JobsLink, ProviderLink
from opensearch_batch.tasks.metrics import time_turn, time_wait
from opensearch_batch.tasks.settings import TaskSettings, settings_of
from opensearch_batch.tasks.stored_trigger import read_event
from opensearch_batch.tasks.turn_trigger import read_turn
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait.finishing import END_SECONDS
from opensearch_batch.wait.looking import drive, look
from opensearch_batch.wait.progress import of_outcomes
from opensearch_batch.wait.refusals import Refusals, patience
from opensearch_batch.wait.settling import Settling
from opensearch_batch.wait.waiting import SEVERAL

MORE_THAN_THE_WINDOW_HOURS = 1.0
NET_SECONDS = 300
"""The deferral itself times out so much after the trigger's own deadline, in case no triggerer lives to see the
deadline.
"""


class BatchSensor(BaseSensorOperator):
    """Wait until all jobs have ended, in whatever state; return the Outcomes. FetchOutputOperator judges the Outcomes.

    At `wait.finish_by` of the spec the jobs that have not ended are cancelled, and their end is waited for; then they
    count as ended, with what they have answered. That needs a deferrable wait.

    A job that the provider accepted and then failed at a limit is submitted again within the limits, and the Outcome
    names the new job; only where the sensor is deferrable, and when the other jobs of the bundle have ended.

    The bundle's progress (n of N rows, rate, time left) is in the task's log during the wait, at most every five
    minutes; the XCom `progress` keeps a Progress as a dict after the end, and the error of a time-out tells the
    progress.

    :param jobs: the Jobs that SubmitBatchOperator returned.
    :param deferrable: wait in the triggerer (default). Else Airflow's own poke and reschedule modes apply.
    :param timeout: seconds from the first look, kept over retries; default: the spec's wait.timeout_hours, or the
        provider's window and one hour more. When they have passed the jobs are cancelled and the task fails for good.
    :param poke_interval: the fewest seconds between two looks at a job. A deferred wait looks more and more seldom, a
        tenth of the elapsed wait apart, up to ten times this or ten minutes, and again more often near the end.
    :param cancel_on_kill: cancel the jobs when a person marks the deferred task failed or successful. A clear, a
        restart of a triggerer or a move of the wait never cancels; the kill of a poking wait does not either.
    :param max_jobs_in_flight: and `max_enqueued_tokens` hold for jobs submitted again, as in SubmitBatchOperator, and
        need the same `pool=`.
    """

    template_fields: Sequence[str] = ("spec", "provider", "opensearch_conn_id", "provider_conn_id", "job", "jobs")
    template_fields_renderers = {"jobs": "json", "spec": "json"}
    operator_extra_links = (JobsLink(), ProviderLink())
    ui_color = "#d9eef7"

    def __init__(
        self,
        *,
        jobs: Any,
        spec: Any = None,
        provider: str = "",
        opensearch_conn_id: str = "",
        provider_conn_id: str = "",
        job: dict[str, Any] | None = None,
        deferrable: bool = True,
        cancel_on_kill: bool = True,
        max_jobs_in_flight: int | None = None,
        max_enqueued_tokens: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.waits_as_given = {"timeout", "poke_interval"} & {*kwargs, *(kwargs.get("default_args") or {})}
        super().__init__(**patient(kwargs))
        self.jobs = jobs
        self.spec = spec
        self.provider = provider
        self.opensearch_conn_id = opensearch_conn_id
        self.provider_conn_id = provider_conn_id
        self.job = job
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.max_jobs_in_flight = max_jobs_in_flight
        self.max_enqueued_tokens = max_enqueued_tokens
        self.current: list[Job] | None = None

    @property
    def index_name(self) -> str:
        return index_name(self.jobs)

    @property
    def linked_jobs(self) -> list[Job]:
        return self._given if self.current is None else self.current

    @property
    def _given(self) -> list[Job]:
        return [Job.from_dict(job) for job in flat(self.jobs or [])]

    def execute(self, context: Context) -> Any:
        with airflow_errors():
            settings = self._prepare(context)
            if not self.deferrable:
                return self._tell(context, settings, self._poke_until_done(context, settings))
            if len(self.linked_jobs) < SEVERAL:
                done = self._look(context, settings)
                if done.is_done:
                    return self._counting(context, settings, done.xcom_value or [])
            return self._defer(context, settings)

    def poke(self, context: Context) -> PokeReturnValue:
        return self._look(context, settings_of(self))

    def _look(self, context: Context, settings: TaskSettings) -> PokeReturnValue:
        """Look once at each job that has not ended yet. After a look that fails for a passing reason, or at a key whose
        refusal has not stood yet, the job counts as not ended. The connections are read at every look.
        """
        ask, memory = worker_ask(settings), context["task_state_store"]
        refusals = Refusals(memory.get(self._refusals_key))  # pokes may be processes of their own
        for job in self.linked_jobs:
            if job.provider_job_id in self.outcomes:
                continue
            try:
                remote = drive(look(job, settings.provider, self.told), ask)
            except Transient as error:
                self.log.warning("%s: %s", job.name, error)
                continue
            except BatchError as error:
                if refusals.is_final(job.provider_job_id, error, time.time()):
                    memory.delete(self._refusals_key)
                    raise
                self.log.warning("%s: %s", job.name, patience(error))
                continue
            refusals.answered(job.provider_job_id)
            assert remote is not None
            self.log.info("%s: %s", job.name, status_line(remote))
            self.settling.note(job, remote)
            if ended(remote):
                self.outcomes[job.provider_job_id] = outcome(job, remote, time.time())
        if refusals.noted() or memory.get(self._refusals_key):
            memory.set(self._refusals_key, refusals.noted())
        done = len(self.outcomes) == len(self.linked_jobs)
        return PokeReturnValue(done, list(self.outcomes.values()) if done else None)

    def _poke_until_done(self, context: Context, settings: TaskSettings) -> Any:
        """Wait with Airflow's own poke and reschedule; soft_fail turns a time-out into a skip."""
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            if isinstance(error, AirflowSensorTimeout) or "timed out" in str(error):
                self._cancel(settings)
            raise

    def execute_complete(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """Check the event as untrusted input."""
        with airflow_errors():
            settings = self._prepare(context)
            told = read_event(event)
            if told.get("timed_out"):
                self._finish(context, settings, str(told.get("progress") or "")[:200])
                self._forget_deadline(context)
                self._give_up(settings, str(told.get("progress") or "")[:200])
            outcomes = [Outcome.from_dict(outcome) for outcome in told.get("outcomes") or []]
            if {each.job.provider_job_id for each in outcomes} != {job.provider_job_id for job in self.linked_jobs}:
                raise UnknownAnswer("the event does not speak of this task's jobs; clear this task to wait anew")
            waited = told.get("waited_seconds")
            return self._counting(
                context, settings, outcomes, float(waited) if isinstance(waited, int | float) else None
            )

    def turn_came(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """After a wait for a turn: go on submitting the jobs that the provider turned away."""
        with airflow_errors():
            outcomes, since = read_turn(event)
            read = [Outcome.from_dict(outcome) for outcome in outcomes or []]
            return self._counting(context, self._prepare(context), read, turn_since=since)

    def _counting(
        self,
        context: Context,
        settings: TaskSettings,
        outcomes: list[Outcome],
        waited_seconds: float | None = None,
        turn_since: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the Outcomes when all jobs count; else submit the jobs turned away again, and wait."""
        from opensearch_batch.tasks.turns import SubmitRules, limits_of, submit_again, turn_trigger, turned_away

        limits = limits_of(self.max_jobs_in_flight, self.max_enqueued_tokens, settings.spec)
        rules = SubmitRules(self.task_id, self.pool, limits)
        current = {job.provider_job_id for job in self.linked_jobs}
        try:
            submitted = [
                each.job.provider_job_id not in current or submit_again(context, settings, rules, each)
                for each in turned_away(outcomes, settings.provider)
                if not is_finished(context, settings.spec)
            ]
        except MustWait as full:
            carried = [each.to_dict() for each in outcomes]
            trigger = turn_trigger(settings, limits, full.wanted, self.poke_interval, carried)
            self.defer(trigger=trigger, method_name="turn_came")
        time_turn(context, turn_since)
        if not any(submitted):
            return self._tell(context, settings, outcomes, waited_seconds)
        return self._defer(context, self._prepare(context))

    def _tell(
        self, context: Context, settings: TaskSettings, outcomes: list[Outcome], waited_seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Log the bundle's progress and keep the progress as XCom `progress`; return the Outcomes as dicts.

        Raise CancelledElsewhere for a job of another run that was cancelled without an answer.
        """
        from opensearch_batch.tasks.shared_ends import with_whose_act

        outcomes = with_whose_act(settings, outcomes)
        progress = of_outcomes(outcomes, waited_seconds)
        self.log.info("%s", progress)
        context["ti"].xcom_push("progress", progress.to_dict())
        time_wait(context, waited_seconds)
        return [each.to_dict() for each in outcomes]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Catch the time-out below the trigger's deadline: no triggerer saw the deadline pass."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (AirflowSensorTimeout, TaskDeferralTimeout):
            if not (next_kwargs or {}).get("event"):
                with airflow_errors():
                    settings = self._prepare(context)
                    self._finish(context, settings, "")
                    self._forget_deadline(context)
                    self._cancel(settings)
            raise

    def _prepare(self, context: Context) -> TaskSettings:
        from opensearch_batch.tasks.turns import current_jobs

        settings = settings_of(self)
        know_keys(settings, context)
        self.current = current_jobs(self._given, context["task_state_store"])
        self.told: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.settling = Settling()
        if settings.spec and "poke_interval" not in self.waits_as_given:  # Airflow's own loop of pokes reads these two
            self.poke_interval = settings.spec.wait.poll_seconds
        if "timeout" not in self.waits_as_given:
            self.timeout = _timeout_hours(settings) * 3600
        if not self.deferrable and finish_of(context, settings.spec) is not None:
            raise SpecError("wait.finish_by needs a deferrable wait: leave deferrable=False out")
        return settings

    def _defer(self, context: Context, settings: TaskSettings) -> NoReturn:
        deadline = self._until(context, settings)
        self.defer(
            trigger=BatchTrigger(
                jobs=[job.to_dict() for job in self.linked_jobs],
                provider=settings.provider.NAME,
                opensearch_conn_id=settings.opensearch_conn_id,
                provider_conn_id=settings.provider_conn_id,
                poll_seconds=self.poke_interval,
                deadline=deadline,
                cancel_on_kill=self.cancel_on_kill,
                told=sorted(self.told),
                since=time.time(),
                credential_conn_ids=credential_connections(context),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + NET_SECONDS),
        )

    def _until(self, context: Context, settings: TaskSettings) -> float:
        """Return epoch seconds: the deadline, or the moment of `wait.finish_by` where that comes before, or the last
        moment for the end of jobs that were cancelled then.
        """
        store = context["task_state_store"]
        if (finishing := store.get(self._finishing_key)) is not None:
            if (end := float(str(finishing)) + END_SECONDS) > time.time():
                return end
            store.delete(self._finishing_key)  # of an earlier try: one look that fails does not end this one
        deadline, finish = self._deadline(context), finish_of(context, settings.spec)
        return deadline if finish is None else min(deadline, finish)

    def _finish(self, context: Context, settings: TaskSettings, progress: str) -> None:
        """Where `wait.finish_by` has come cancel the jobs, and wait for their end. Raise Unavailable for a job that
        cannot be cancelled, Terminal where they have not ended in time: their rows may yet be answered, so nobody may
        send them again.
        """
        store, finish = context["task_state_store"], finish_of(context, settings.spec)
        if finish is None:
            return
        deadline = float(str(store.get(self._deadline_key) or 0))
        if finish > max(deadline, time.time()):  # what the trigger waited for; its clock may be ahead of this one
            return
        if store.get(self._finishing_key) is not None:
            store.delete(self._finishing_key)
            names = ", ".join(job.provider_job_id for job in self.linked_jobs)
            raise Terminal(
                f"jobs {names} were cancelled at wait.finish_by and had not all ended {END_SECONDS / 60:.0f} minutes "
                f"later ({progress or 'nobody has looked'}). Nothing of them landed, and none of their rows was sent "
                "again. Clear this task once they have ended at the provider"
            )
        self.log.info("wait.finish_by has come (%s): jobs that have not ended are cancelled", progress)
        if left := self._cancel(settings):
            raise Unavailable(f"wait.finish_by has come, and not all jobs could be cancelled: {'; '.join(left)}")
        store.set(self._finishing_key, time.time())
        self._defer(context, settings)

    def _deadline(self, context: Context) -> float:
        """Return epoch seconds; a retry keeps the first deadline, a clear after the deadline gets a new deadline."""
        store = context["task_state_store"]
        noted = float(str(store.get(self._deadline_key) or 0))
        if noted > time.time():
            return noted
        deadline = time.time() + self.timeout
        store.set(self._deadline_key, deadline)
        return deadline

    def _forget_deadline(self, context: Context) -> None:
        context["task_state_store"].delete(self._deadline_key)

    @property
    def _refusals_key(self) -> str:
        return self._deadline_key.replace("deadline", "refusals")

    @property
    def _finishing_key(self) -> str:
        return self._deadline_key.replace("deadline", "finishing")

    @property
    def _deadline_key(self) -> str:
        ids = ",".join(sorted(job.provider_job_id for job in self.linked_jobs))
        return "deadline-" + hashlib.sha256(ids.encode()).hexdigest()[:16]

    def _give_up(self, settings: TaskSettings, progress: str) -> NoReturn:
        left = self._cancel(settings)
        names = ", ".join(job.provider_job_id for job in self.linked_jobs)
        what = f"these may go on: {'; '.join(left)}" if left else "they were cancelled"
        if owners := sorted({job.shared_with for job in self.linked_jobs if job.shared_with}):
            what += f", but for the jobs of {', '.join(owners)}, which go on"
        how_far = f" ({progress})" if progress else ""
        raise AirflowSensorTimeout(
            f"jobs {names} had not ended {self.timeout:.0f} s after the first look{how_far}; {what}"
        )

    def _cancel(self, settings: TaskSettings) -> list[str]:
        """Best effort: a job that cannot be cancelled now is named, and goes on."""
        left = cancel_jobs(settings, self.linked_jobs)
        for line in left:
            self.log.warning("could not cancel %s", line)
        return left


def _timeout_hours(settings: TaskSettings) -> float:
    """The spec's; else the hours in which the provider ends such a job, and one more."""
    named = settings.spec.wait.timeout_hours if settings.spec else None
    return named or settings.provider.window_hours(settings.job or {}) + MORE_THAN_THE_WINDOW_HOURS
