"""One run, from the first call to the removal of what it made; everything that may be asked twice is noted first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live import checks
from live.checks import Check
from live.objects import make_connector, make_model, remove
from live.recorded_cluster import RecordedCluster
from live.recorded_openai import RecordedOpenAIFiles
from live.state import State
from live.summary import Summary
from live.target import Target
from live.ten_rows import ROWS, ListLag, land_rows, may_have_been_submitted, measure_list_lag, wait_for
from live.transcript import Transcript
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.report import Report
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.names import file_name, shard_key
from opensearch_batch.submit.submission import Submitter


@dataclass
class LiveRun:
    """`state` outlives it: a second one with the same state goes on where this one broke off."""

    target: Target
    vendor: Provider
    spec: BatchSpec
    plan: Plan
    shard: Shard
    state: State
    transcript: Transcript
    summary: Summary
    say: Callable[[str], None]
    poll_seconds: float
    timeout_seconds: float

    def __post_init__(self) -> None:
        self.send = RecordedCluster(self.target.opensearch_conn_id, self.transcript).send
        key = self.target.provider_conn.password or ""
        self.store = RecordedOpenAIFiles(self.target.provider_url, key, self.transcript)
        self._began = time.monotonic()

    def go(self) -> None:
        """Raise a BatchError, or StillRunning when the patience ends before the job does."""
        self._ask_version()
        connector_id = make_connector(self.send, self.target, self.vendor, self.spec, self.state)
        self._check(
            "connector", lambda: checks.of_connector(self.send, self.target.mask, connector_id, self.spec.registered_as)
        )
        model_id = make_model(self.send, self.spec, connector_id, self.state)
        self._check("model", lambda: checks.of_model(self.send, model_id, connector_id))
        job = self._submit(model_id)
        self._measure_list_lag(job)
        self._check("job", lambda: self._check_job(job))
        told: set[str] = set()
        remote = wait_for(
            job,
            self.send,
            self.store,
            self.vendor,
            poll_seconds=self.poll_seconds,
            timeout_seconds=self.timeout_seconds,
            told=told,
            say=self.say,
        )
        self._note("followed", "at the provider" if told else "through the cluster")
        if since := self.state.get("answered_at"):
            self._note("seconds from submission until the end was seen", f"{time.time() - since:.0f}")
        self._judge(land_rows(self.plan, job, remote, self.store, self.vendor, self.spec))

    @property
    def key(self) -> str:
        return shard_key(self._owner, self.shard)

    @property
    def may_have_been_submitted(self) -> bool:
        return may_have_been_submitted(self.state, self.key)

    def remove(self) -> None:
        self.summary.left += remove(self.send, self.state.get("made", {}))

    @property
    def _owner(self) -> str:
        return f"live|{self.spec.name}"

    def _ask_version(self) -> None:
        """For the transcript's name only: the least role may not ask."""
        if "version" not in self.state.get("about", {}):
            try:
                info: dict[str, Any] = self.send(Call("get the cluster's version", "GET", "/", purpose="look"))
                version = str(info["version"]["number"])
            except (BatchError, KeyError, TypeError) as error:
                self.say(f"the cluster does not tell its version ({error})")
                version = "unknown"
            self.transcript.name_after("".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in version))
            self.state.set("about", {"version": version, "transcript": str(self.transcript.path)})
        self.summary.version = self.state.get("about")["version"]

    def _submit(self, model_id: str) -> Job:
        is_first = not self.may_have_been_submitted
        began = time.monotonic()
        submitter = Submitter(
            send=self.send,
            store=self.store,
            provider=self.vendor,
            memory=self.state,
            run=self._owner,
            model_id=model_id,
        )
        job = submitter.submit(self.shard)
        if is_first:
            self.state.set("answered_at", time.time())
            self._note("seconds to upload and submit", f"{time.monotonic() - began:.2f}")
        self.say(f"submitted as {job.name}")
        return job

    def _measure_list_lag(self, job: Job) -> None:
        measured = self.state.get("list_lag")
        answered_at = self.state.get("answered_at")
        if answered_at is None:
            self._note("provider's list shows the new batch", "not measured: the submission was interrupted")
            return
        if measured is None:
            interrupted = bool(self.state.get("looked_for"))
            self.state.set("looked_for", True)
            lag = measure_list_lag(self.store, job, answered_at, interrupted=interrupted)
            measured = lag.to_dict()
            self.state.set("list_lag", measured)
            self.transcript.event("list lag", **measured)
        self._note("provider's list shows the new batch after", str(ListLag.from_dict(measured)))

    def _check(self, part: str, ask: Callable[[], list[Check]]) -> None:
        """Each part once, also over interruptions."""
        noted = self.state.get("checks", {})
        if part not in noted:
            found = [check.to_dict() for check in ask()]
            noted = {**noted, part: found}
            self.state.set("checks", self.target.mask.value(noted))
            for line in found:
                self.transcript.event("check", **line)
        for check in map(Check.from_dict, self.state.get("checks")[part]):
            self.summary.checks.append(check)
            self.say(f"{'noted  ' if check.held is None else 'held   ' if check.held else 'BROKEN '} {check.name}")

    def _check_job(self, job: Job) -> list[Check]:
        return checks.of_job(self.send, self.store, self.vendor, job, file_name(job.key, job.attempt))

    def _judge(self, report: Report) -> None:
        where = {"jobs", "results", "failures", "manifest"}
        self.transcript.event("report", **{key: value for key, value in report.to_dict().items() if key not in where})
        self._note("answered", f"{report.answered} of {report.records}")
        self._note("failed, missing, duplicates", f"{report.failed}, {report.missing}, {report.duplicates}")
        usd = "unknown" if report.actual_usd is None else f"${report.actual_usd:.8f}"
        self._note("tokens", f"{report.actual_tokens} (estimated {report.estimated_tokens})")
        self._note("cost at list price, batch discount applied", usd)
        self.say(str(report))
        if report.answered != ROWS:
            self.summary.error = f"{report.answered} of {ROWS} rows were answered: {report.codes or report.problems}"

    def _note(self, what: str, value: str) -> None:
        self.summary.measured[what] = value

    def write_summary(self) -> Path:
        page = self.summary.page(self.transcript.path.name, self.transcript.lines())
        path = self.transcript.path.with_suffix(".md")
        path.write_text(self.target.mask.text(page), encoding="utf-8")
        return path
