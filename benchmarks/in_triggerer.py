"""A triggerer in one process: Airflow's own TriggerRunner runs alarms, the triggers of other people, and in one of the
two measurements also our waits.

Reads a Plan as JSON from standard input and prints the measurements as JSON. A stand-in for the supervisor, without a
database, hands out fifty triggers a round, as Airflow's supervisor does, and takes the events.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner, messages
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

A_ROUND = 50
WATCH_SECONDS = 0.02
ALARM_LOOKS_SECONDS = 5.0
GRACE_SECONDS = 60.0
"""For jobs that a busy sandbox is late with."""


@dataclass(frozen=True)
class Plan:
    """`waits` are arguments of BatchTrigger. After `start_seconds` alarms go off evenly until the end; `url` is the
    sandbox, whose jobs end after `wait_seconds` more; `end_seconds` of alarms are left then.
    """

    alarms: int
    waits: list[dict[str, Any]]
    url: str
    start_seconds: float
    wait_seconds: float
    end_seconds: float


class Alarm(BaseTrigger):
    """Somebody else's trigger: wakes now and then, fires at `due` (epoch seconds)."""

    def __init__(self, due: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.due = due

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "benchmarks.in_triggerer.Alarm", {"due": self.due}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while (left := self.due - time.time()) > 0:  # noqa: ASYNC110 - as most triggers of others do
            await asyncio.sleep(min(left, ALARM_LOOKS_SECONDS))
        yield TriggerEvent({"due": self.due})  # type: ignore[no-untyped-call]


class Triggerer(TriggerRunner):
    """`lags` are (when, seconds) that the loop woke up late; `fired` (when it was due, seconds until it was handed to
    the supervisor); `ours` the jobs of our events.
    """

    def __init__(self, work: list[RunTrigger]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = work
        self.lags: list[tuple[float, float]] = []
        self.fired: list[tuple[float, float]] = []
        self.ours = 0
        self.failed = 0

    async def init_comms(self) -> None:
        forever = asyncio.create_task(asyncio.Event().wait())
        self.comms_decoder = SimpleNamespace(_reader_task=forever)  # type: ignore[assignment]

    async def block_watchdog(self) -> None:
        while not self.stop:
            begun = time.time()
            await asyncio.sleep(WATCH_SECONDS)
            now = time.time()
            self.lags.append((now, now - begun - WATCH_SECONDS))

    async def asend(self, msg: Any) -> Any:
        now = time.time()
        for entry in msg.events or ():
            payload = entry.event.payload
            if "due" in payload:
                self.fired.append((payload["due"], now - payload["due"]))
            else:
                self.ours += len(payload.get("outcomes", ()))
        self.failed += len(msg.failures or ())
        batch, self.work = self.work[:A_ROUND], self.work[A_ROUND:]
        return messages.TriggerStateSync(to_create=batch, to_cancel=set())


async def measured(plan: Plan) -> dict[str, Any]:
    began = time.time()
    quiet = began + plan.start_seconds
    ending, end = quiet + plan.wait_seconds, quiet + plan.wait_seconds + plan.end_seconds
    alarms = [{"due": quiet + number * (end - quiet - 2) / plan.alarms} for number in range(plan.alarms)]
    kinds = [("opensearch_batch.trigger.BatchTrigger", arguments) for arguments in plan.waits]
    kinds += [(f"{__name__}.Alarm".replace("__main__", "benchmarks.in_triggerer"), arguments) for arguments in alarms]
    work = [RunTrigger(id=id, classpath=path, encrypted_kwargs=Trigger.encrypt_kwargs(given))
            for id, (path, given) in enumerate(kinds, 1)]  # fmt: skip
    runner = Triggerer(work)
    running = asyncio.create_task(runner.arun())  # type: ignore[no-untyped-call]
    await asyncio.sleep(quiet - time.time())
    cpu = time.process_time()
    await asyncio.to_thread(_ask, plan.url, "DELETE", "/_sandbox/calls")
    await asyncio.sleep(ending - time.time())
    cpu = time.process_time() - cpu
    calls = await asyncio.to_thread(_ask, plan.url, "GET", "/_sandbox/calls")
    waiting = time.time()
    if plan.waits:
        await asyncio.to_thread(_ask, plan.url, "POST", "/_sandbox/pace", {"pace": "instant"})
    await asyncio.sleep(end - time.time())
    jobs = sum(len(wait["jobs"]) for wait in plan.waits)
    while runner.ours < jobs and time.time() < end + GRACE_SECONDS:  # noqa: ASYNC110 - the runner sets no event
        await asyncio.sleep(0.1)
    runner.stop = True
    await running
    return {
        "list": sum(call["method"] == "GET" and call["path"] == "/v1/batches" for call in calls),
        "cluster": sum(call["path"].startswith("/_plugins/_ml/tasks/") for call in calls),
        "provider": sum(call["path"].startswith("/v1/batches/") for call in calls),
        "cpu_seconds": cpu,
        "lag_waiting": [lag for at, lag in runner.lags if quiet <= at < waiting],
        "lag_ending": [lag for at, lag in runner.lags if waiting <= at],
        "late_waiting": [late for due, late in runner.fired if due < waiting],
        "late_ending": [late for due, late in runner.fired if due >= waiting],
        "alarms": len(runner.fired),
        "jobs": runner.ours,
        "failed": runner.failed,
    }


def _ask(url: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(Plan(**json.load(sys.stdin))))))
