"""BatchSensor: waits for a bundle of jobs without holding a worker, and returns how every job ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferralTimeout

from opensearch_batch.errors import BatchError, SpecError, Terminal, Unavailable, UnknownAnswer
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.submit.admission import MustWait
from opensearch_batch.tasks.base import cancel_jobs, credential_connections, flat, flat_given, know_keys
from opensearch_batch.tasks.deadlines import Deadlines, timeout_hours
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.tasks.finishing import finish_of, is_finished
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.links import JobsLink, ProviderLink
from opensearch_batch.tasks.metrics import time_turn, time_wait
from opensearch_batch.tasks.poking import Looks
from opensearch_batch.tasks.settings import TaskSettings, settings_of
from opensearch_batch.tasks.stored_trigger import read_event
from opensearch_batch.tasks.turn_trigger import read_turn
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait.finishing import END_SECONDS
from opensearch_batch.wait.progress import of_outcomes
from opensearch_batch.wait.waiting import SEVERAL

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
        self.looks.look(self.linked_jobs, settings, context["task_state_store"])
        outcomes = list(self.looks.outcomes.values())
        done = len(outcomes) == len(self.linked_jobs)
        return PokeReturnValue(done, outcomes if done else None)

    def _last_look(self, context: Context, settings: TaskSettings) -> list[Outcome] | None:
        """Return the Outcomes where all jobs have ended, else None. At the deadline nobody may have looked since their
        end: no triggerer lived, or the provider did not answer. Their answers are paid for.
        """
        try:
            found: list[Outcome] | None = self._look(context, settings).xcom_value
        except BatchError as error:
            self.log.warning("the last look failed: %s", error)
            return None
        return found

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
                if (outcomes := self._last_look(context, settings)) is not None:
                    return self._counting(context, settings, outcomes)
                how_far = str(told.get("progress") or "")[:200]
                self._finish(context, settings, how_far)
                self._deadlines(context).forget()
                self._give_up(settings, how_far)
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
            turn = read_turn(event)
            read = [Outcome.from_dict(outcome) for outcome in turn.carried or []]
            return self._counting(context, self._prepare(context), read, turn_since=turn.since)

    def _counting(
        self,
        context: Context,
        settings: TaskSettings,
        outcomes: list[Outcome],
        waited_seconds: float | None = None,
        turn_since: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the Outcomes when all jobs count; else submit the jobs turned away again, and wait."""
        from opensearch_batch.tasks.turns import (
            SubmitRules,
            current_jobs,
            limits_of,
            submit_again,
            turn_trigger,
            turned_away,
        )

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
            under_way = current_jobs(self._given, context["task_state_store"])
            trigger = turn_trigger(
                context,
                settings,
                limits,
                full,
                self.poke_interval,
                carried,
                under_way,
                cancel_on_kill=self.cancel_on_kill,
            )
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
        except (AirflowSensorTimeout, TaskDeferralTimeout, AirflowSkipException) as error:
            # With soft_fail or never_fail Airflow makes a skip of the time-out.
            cause = error.__cause__ if isinstance(error, AirflowSkipException) else error
            timed_out = isinstance(cause, AirflowSensorTimeout | TaskDeferralTimeout)
            if timed_out and not (next_kwargs or {}).get("event"):
                with airflow_errors():
                    settings = self._prepare(context)
                    if (outcomes := self._last_look(context, settings)) is not None:
                        return self._counting(context, settings, outcomes)
                    self._finish(context, settings, "")
                    self._deadlines(context).forget()
                    self._cancel(settings)
            raise

    def _prepare(self, context: Context) -> TaskSettings:
        from opensearch_batch.tasks.turns import current_jobs

        settings = settings_of(self)
        know_keys(settings, context)
        given = flat_given(self.jobs, "jobs", "Clear it, with what follows: no job is paid twice")
        self.current = current_jobs([Job.from_dict(job) for job in given], context["task_state_store"])
        self.looks = Looks(self.log)
        if settings.spec and "poke_interval" not in self.waits_as_given:  # Airflow's own loop of pokes reads these two
            self.poke_interval = settings.spec.wait.poll_seconds
        if "timeout" not in self.waits_as_given:
            self.timeout = timeout_hours(settings) * 3600
        if not self.deferrable and finish_of(context, settings.spec) is not None:
            raise SpecError("wait.finish_by needs a deferrable wait: leave deferrable=False out")
        return settings

    def _defer(self, context: Context, settings: TaskSettings) -> NoReturn:
        deadline = self._deadlines(context).until(self.timeout, finish_of(context, settings.spec))
        self.defer(
            trigger=BatchTrigger(
                jobs=[job.to_dict() for job in self.linked_jobs],
                provider=settings.provider.NAME,
                opensearch_conn_id=settings.opensearch_conn_id,
                provider_conn_id=settings.provider_conn_id,
                poll_seconds=self.poke_interval,
                deadline=deadline,
                cancel_on_kill=self.cancel_on_kill,
                told=sorted(self.looks.told),
                since=time.time(),
                credential_conn_ids=credential_connections(context),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + NET_SECONDS),
        )

    def _finish(self, context: Context, settings: TaskSettings, progress: str) -> None:
        """Where `wait.finish_by` has come cancel the jobs, and wait for their end. Raise Unavailable for a job that
        cannot be cancelled, Terminal where they have not ended in time: their rows may yet be answered, so nobody may
        send them again.
        """
        deadlines, finish = self._deadlines(context), finish_of(context, settings.spec)
        if finish is None or not deadlines.have_come_to(finish):
            return
        if deadlines.were_cancelled:
            deadlines.forget_cancelled()
            names = ", ".join(job.provider_job_id for job in self.linked_jobs)
            raise Terminal(
                f"jobs {names} were cancelled at wait.finish_by and had not all ended {END_SECONDS / 60:.0f} minutes "
                f"later ({progress or 'nobody has looked'}). Nothing of them landed, and none of their rows was sent "
                "again. Clear this task once they have ended at the provider"
            )
        self.log.info("wait.finish_by has come (%s): jobs that have not ended are cancelled", progress)
        if left := self._cancel(settings):
            raise Unavailable(f"wait.finish_by has come, and not all jobs could be cancelled: {'; '.join(left)}")
        deadlines.note_cancelled()
        self._defer(context, settings)

    def _deadlines(self, context: Context) -> Deadlines:
        return Deadlines(context["task_state_store"], self.linked_jobs)

    def _give_up(self, settings: TaskSettings, progress: str) -> NoReturn:
        left = self._cancel(settings)
        names = ", ".join(id for job in self.linked_jobs if (id := job.provider_job_id) not in self.looks.outcomes)
        what = f"these may go on: {'; '.join(left)}" if left else "they were cancelled where they still ran"
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
