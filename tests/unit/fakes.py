"""A cluster and a provider in memory: what a Submitter talks to, with the accidents that can happen on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.errors import BatchError, OutcomeUnknown, Unavailable
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.jobs import Outcome
from opensearch_batch.flow.shards import Shard


class Killed(BaseException):
    """The worker's process ends here."""


@dataclass
class Clock:
    """Time that only passes when somebody sleeps; `at_sleep` are things that happen meanwhile."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)
    at_sleep: list[Any] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        if self.at_sleep:
            self.at_sleep.pop(0)()


@dataclass
class Memory:
    """Airflow's task state store; `kill_at_set` counts the writes until the process is killed before one."""

    values: dict[str, Any] = field(default_factory=dict)
    kill_at_set: int = 0

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        if self.kill_at_set:
            self.kill_at_set -= 1
            if not self.kill_at_set:
                raise Killed
        self.values[key] = value


@dataclass
class World:
    """`files` are (name, id) in the order of upload, `jobs` the provider's, `tasks` the cluster's, by task id."""

    files: list[tuple[str, str]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    accidents: list[Any] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    client_config: dict[str, Any] | None = None
    job_in_answer: bool = True
    lists_lag: bool = False
    cluster_is_down: bool = False
    search_is_down: bool = False
    types: dict[str, str] = field(default_factory=dict)
    """By task id, where a task is no batch."""
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a list of the files says more, by file id; `bytes` is 100 where it is silent."""

    def send(self, call: Call) -> Any:
        if self.cluster_is_down:
            raise Unavailable("no answer from the cluster")
        kind = call.path.removeprefix("/_plugins/_ml/").split("/")
        if kind[-1] == "_batch_predict":
            return self._submit(call)
        if kind == ["tasks", "_search"]:
            return self._search(call)
        if kind[0] == "tasks":
            self.looked_at.append(kind[1])
            job = self.tasks[kind[1]]
            return {"state": "COMPLETED" if job["status"] == "completed" else "RUNNING", "remote_job": dict(job)}
        if kind[0] == "models":
            return {"connector_id": "connector-1"}
        if kind[0] == "connectors":
            return {} if self.client_config is None else {"client_config": self.client_config}
        raise AssertionError(f"unexpected {call}")

    def _submit(self, call: Call) -> dict[str, Any]:
        assert call.body is not None
        self.submissions.append(call.body["parameters"])
        if self.accidents:
            self.accidents.pop(0)()
        job = self.new_job(call.body["parameters"]["input_file_id"])
        task_id = self.new_task(job)
        return {"task_id": task_id, "status": "CREATED"} | ({"remote_job": dict(job)} if self.job_in_answer else {})

    def _search(self, call: Call) -> list[Hit]:
        assert call.body is not None
        if self.search_is_down:
            raise Unavailable("no answer to the search")
        wanted = call.body["query"].get("term", {}).get("remote_job.input_file_id")
        found = [(key, job) for key, job in self.tasks.items() if wanted in (None, job["input_file_id"])]
        types = {key: self.types.get(key, "BATCH_PREDICTION") for key, _ in found}
        return [Hit(key, {"task_type": types[key], "state": "RUNNING", "remote_job": dict(job)}) for key, job in found]

    def new_job(self, file_id: str, status: str = "validating", **more: Any) -> dict[str, Any]:
        job = {"id": f"batch_{len(self.jobs) + 1}", "status": status, "input_file_id": file_id, **more}
        self.jobs.append(job)
        return job

    def new_task(self, job: dict[str, Any]) -> str:
        task_id = f"task-{len(self.tasks) + 1}"
        self.tasks[task_id] = job
        return task_id

    def lose_answer(self, error: BatchError | None = None) -> None:
        """The next submission reaches the provider, but nobody hears of it."""

        def accident() -> None:
            self.new_job(self.submissions[-1]["input_file_id"])
            raise error or OutcomeUnknown("HTTP 500: Read timed out.")

        self.accidents.append(accident)

    def fail(self, error: BaseException) -> None:
        """The next submission ends before the provider hears of it."""

        def accident() -> None:
            raise error

        self.accidents.append(accident)

    def kill_after_submit(self) -> None:
        """The cluster and the provider have the next job, but the worker is killed before it reads the answer."""

        def accident() -> None:
            self.new_task(self.new_job(self.submissions[-1]["input_file_id"]))
            raise Killed

        self.accidents.append(accident)

    def upload(self, shard: Shard, name: str) -> str:
        file_id = f"file-{len(self.files) + 1}"
        self.files.append((name, file_id))
        return file_id

    def find_uploads(self, prefix: str) -> dict[str, str]:
        return (
            {}
            if self.lists_lag
            else {name: file_id for name, file_id in reversed(self.files) if name.startswith(prefix)}
        )

    def stored_bytes(self) -> int:
        raise AssertionError("a submission weighs nothing")

    def delete_file(self, file_id: str) -> bool:
        raise AssertionError("a submission deletes nothing")

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        return [] if self.lists_lag else [dict(job) for job in self.jobs if job["input_file_id"] == input_file_id]

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        for job in reversed(self.jobs):
            if job.get("created_at", since) >= since:
                self.listed.append(job["id"])
                yield dict(job)

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        for name, key in reversed(self.files):
            upload = {"id": key, "filename": name, "bytes": 100, "created_at": since, **self.about.get(key, {})}
            if upload["created_at"] >= since:
                yield upload

    def file_bytes(self, file_id: str) -> int | None:
        return self.about.get(file_id, {}).get("bytes")

    def get_job(self, job_id: str) -> dict[str, Any]:
        return next(dict(job) for job in self.jobs if job["id"] == job_id)

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        raise AssertionError("a submission waits for nothing")

    def cancel_job(self, job_id: str) -> None:
        raise AssertionError("a submission cancels nothing")

    def lines(self, file_id: str) -> Iterator[bytes]:
        raise AssertionError("a submission downloads nothing")

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        raise AssertionError("a submission downloads nothing")

    def usage(self, outcome: Outcome) -> Usage | None:
        raise AssertionError("a submission downloads nothing")
