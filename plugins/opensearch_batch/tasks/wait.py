"""BatchSensor: waits for a bundle of jobs without holding a worker, and returns how each of them ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferralTimeout

from opensearch_batch import providers
from opensearch_batch.errors import Transient, UnknownAnswer
from opensearch_batch.flow.jobs import Job, ended, outcome, progress
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.admission import NoRoom
from opensearch_batch.tasks.base import cancel_jobs, fill_connections, flat, worker_ask
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.tasks.links import ProviderLink, TaskLink
from opensearch_batch.tasks.stored_trigger import read_event
from opensearch_batch.tasks.turn_trigger import read_turn
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from opensearch_batch.wait.looking import drive, look
from opensearch_batch.wait.progress import of_outcomes
from opensearch_batch.wait.waiting import SEVERAL

DAY_AND_ONE_HOUR = timedelta(hours=25)
NET_SECONDS = 300
"""The deferral itself times out this much after the trigger's own deadline, in case no triggerer lives to see that."""


class BatchSensor(BaseSensorOperator):
    """Wait until all jobs have ended, in whatever state; return their Outcomes. FetchOutputOperator judges them.

    A job that the provider accepted and then failed for want of room is submitted again when there is some, and its
    Outcome names the new job; only where the sensor is deferrable, and when the other jobs of its bundle have ended.

    How far the bundle is (n of N rows, rate, time left) is in the task's log while it waits, at most every five
    minutes; the XCom `progress` keeps a Headway as a dict once it has ended, and the error of a time-out says it.

    :param jobs: what SubmitBatchOperator returned.
    :param deferrable: wait in the triggerer (default). Else Airflow's own poke and reschedule modes apply.
    :param timeout: seconds from the first look, kept over retries; default 25 h. When they have passed the jobs are
        cancelled and the task fails for good.
    :param poke_interval: the fewest seconds between two looks at a job. A deferred wait looks more and more seldom, a
        tenth of the wait so far apart, up to ten times this or ten minutes, and again more often near the end.
    :param cancel_on_kill: cancel the jobs when a person marks the deferred task failed or successful. Clearing it,
        restarting a triggerer or moving the wait never cancels; a poking wait that is killed does not either.
    :param max_jobs_in_flight: and `max_enqueued_tokens` hold for what is submitted again, as in SubmitBatchOperator,
        and need the same `pool=`.
    """

    template_fields: Sequence[str] = ("spec", "provider", "opensearch_conn_id", "provider_conn_id", "job", "jobs")
    template_fields_renderers = {"jobs": "json", "spec": "json"}
    operator_extra_links = (TaskLink(), ProviderLink())
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
        super().__init__(**patient(kwargs, timeout=DAY_AND_ONE_HOUR.total_seconds()))
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
        self.current: list[dict[str, Any]] | None = None

    @property
    def linked_jobs(self) -> list[dict[str, Any]]:
        return flat(self.jobs or []) if self.current is None else self.current

    def execute(self, context: Context) -> Any:
        with airflow_errors():
            self._prepare(context)
            if not self.deferrable:
                return self._tell(context, self._poke_until_done(context))
            if len(self.linked_jobs) < SEVERAL:
                done = self.poke(context)
                if done.is_done:
                    return self._counting(context, done.xcom_value or [])
            return self._defer(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """One look at each job that has not ended yet. A look that fails for a passing reason counts as not ended."""
        ask = worker_ask(self)
        vendor = providers.get(self.provider)
        for job in map(Job.from_dict, self.linked_jobs):
            if job.provider_job_id in self.outcomes:
                continue
            try:
                remote = drive(look(job, vendor, self.told), ask)
            except Transient as error:
                self.log.warning("%s: %s", job.name, error)
                continue
            assert remote is not None
            self.log.info("%s: %s", job.name, progress(remote))
            if ended(remote):
                self.outcomes[job.provider_job_id] = outcome(job, remote).to_dict()
        done = len(self.outcomes) == len(self.linked_jobs)
        return PokeReturnValue(done, list(self.outcomes.values()) if done else None)

    def _poke_until_done(self, context: Context) -> Any:
        """Airflow's own poke and reschedule; soft_fail turns its time-out into a skip."""
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            if isinstance(error, AirflowSensorTimeout) or "timed out" in str(error):
                self._cancel()
            raise

    def execute_complete(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """Check the event as the untrusted input it is."""
        with airflow_errors():
            self._prepare(context)
            told = read_event(event)
            if told.get("timed_out"):
                self._forget_deadline(context)
                self._give_up(str(told.get("progress") or "")[:200])
            outcomes: list[dict[str, Any]] = told.get("outcomes") or []
            if {entry["job"]["provider_job_id"] for entry in outcomes} != {
                job["provider_job_id"] for job in self.linked_jobs
            }:
                raise UnknownAnswer("the event does not speak of this task's jobs; clear this task to wait anew")
            waited = told.get("waited_seconds")
            return self._counting(context, outcomes, float(waited) if isinstance(waited, int | float) else None)

    def turn_came(self, context: Context, event: Any) -> list[dict[str, Any]]:
        """After a wait for room: go on submitting what the provider turned away."""
        with airflow_errors():
            outcomes, _ = read_turn(event)
            self._prepare(context)
            return self._counting(context, outcomes or [])

    def _counting(
        self, context: Context, outcomes: list[dict[str, Any]], waited_seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """The Outcomes, when all are of jobs that count; else submit those again that were turned away, and wait."""
        from opensearch_batch.tasks.turns import submit_again, turned_away, wait_for_turn

        current = {job["provider_job_id"] for job in self.linked_jobs}
        try:
            submitted = [
                each["job"]["provider_job_id"] not in current or submit_again(self, context, each)
                for each in turned_away(outcomes, self.provider)
            ]
        except NoRoom as full:
            wait_for_turn(self, full.wanted, self.poke_interval, "turn_came", carried=outcomes)
        if not any(submitted):
            return self._tell(context, outcomes, waited_seconds)
        self._prepare(context)
        return self._defer(context)

    def _tell(
        self, context: Context, outcomes: list[dict[str, Any]], waited_seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Log how far the bundle came and keep it as XCom `progress`; return the Outcomes as they are."""
        headway = of_outcomes(outcomes, waited_seconds)
        self.log.info("%s", headway)
        context["ti"].xcom_push("progress", headway.to_dict())
        return outcomes

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """The net below the trigger's deadline: no triggerer was there to see it pass."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (AirflowSensorTimeout, TaskDeferralTimeout):
            if not (next_kwargs or {}).get("event"):
                with airflow_errors():
                    self._prepare(context)
                    self._forget_deadline(context)
                    self._cancel()
            raise

    def _prepare(self, context: Context) -> None:
        from opensearch_batch.tasks.turns import current_jobs

        fill_connections(self)
        self.current = current_jobs(flat(self.jobs or []), context["task_state_store"])
        self.told: set[str] = set()
        self.outcomes: dict[str, dict[str, Any]] = {}
        if self.spec:
            wait = BatchSpec.of(self.spec).wait
            if "poke_interval" not in self.waits_as_given:
                self.poke_interval = wait.poll_seconds
            if "timeout" not in self.waits_as_given:
                self.timeout = wait.timeout_hours * 3600

    def _defer(self, context: Context) -> NoReturn:
        deadline = self._deadline(context)
        self.defer(
            trigger=BatchTrigger(
                jobs=self.linked_jobs,
                provider=self.provider,
                opensearch_conn_id=self.opensearch_conn_id,
                provider_conn_id=self.provider_conn_id,
                poll_seconds=self.poke_interval,
                deadline=deadline,
                cancel_on_kill=self.cancel_on_kill,
                told=sorted(self.told),
                since=time.time(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + NET_SECONDS),
        )

    def _deadline(self, context: Context) -> float:
        """Epoch seconds; a retry keeps the first one, a clear after it has passed gets a new one."""
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
    def _deadline_key(self) -> str:
        ids = ",".join(sorted(job["provider_job_id"] for job in self.linked_jobs))
        return "deadline-" + hashlib.sha256(ids.encode()).hexdigest()[:16]

    def _give_up(self, progress: str) -> NoReturn:
        left = self._cancel()
        names = ", ".join(job["provider_job_id"] for job in self.linked_jobs)
        what = f"these may go on: {'; '.join(left)}" if left else "they were cancelled"
        how_far = f" ({progress})" if progress else ""
        raise AirflowSensorTimeout(
            f"jobs {names} had not ended {self.timeout:.0f} s after the first look{how_far}; {what}"
        )

    def _cancel(self) -> list[str]:
        """Best effort: a job that cannot be cancelled now is named, and goes on."""
        left = cancel_jobs(self, self.linked_jobs)
        for line in left:
            self.log.warning("could not cancel %s", line)
        return left
