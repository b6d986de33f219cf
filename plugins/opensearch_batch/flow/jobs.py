"""Job, RemoteJob and Outcome: a submitted batch, a look at the batch, and the end. States in, decisions out; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.scrubbing import scrubbed

RemoteState = Literal["running", "cancelling", "settling", "completed", "failed", "expired", "cancelled"]
"""`settling`: the vendor says that the job has ended, and names no file yet for the rows it says are answered."""

ENDED: frozenset[RemoteState] = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(frozen=True)
class RemoteJob:
    """A look at the provider's job. `outputs` are ids for the store to read, answers before errors. `created_at` is in
    epoch seconds. `requests_total` is 0 where the vendor does not say.

    `has_answers` is reliable only from a ProviderStore about an ended job; True in doubt.
    """

    id: str
    state: RemoteState
    status: str
    outputs: tuple[str, ...] = ()
    requests_total: int = 0
    requests_done: int = 0
    requests_failed: int = 0
    usage: Usage = field(default_factory=Usage)
    error_code: str | None = None
    error_message: str | None = None
    has_answers: bool = False
    created_at: float | None = None
    model: str | None = None
    """The vendor's name of the model; None as long as the vendor does not say."""


class Job(Value, frozen=True):
    """A batch accepted by the provider. `task_id` is None where the cluster kept no task for the batch (a lost answer).

    `key` is in the input file's name and comes back from the provider; `shard` is None for raw parameters;
    `parameters` are the overrides of the connector's parameters. `shared_with` names the run whose job it is: that run
    has paid for it, and only that run may cancel it; unset for the run's own jobs.
    """

    key: str
    attempt: int
    provider_job_id: str
    input_file_id: str | None
    task_id: str | None
    model_id: str
    shard: Shard | None = None
    parameters: dict[str, Any] | None = None
    shared_with: str | UnsetType = UNSET

    @property
    def is_online(self) -> bool:
        """Whether it stands for rows asked one by one: the provider has no such job."""
        return self.shard is not None and self.shard.is_online

    @property
    def name(self) -> str:
        if self.shard and self.shard.is_online:
            return self.shard.name
        where = f"shard {self.shard.index}, " if self.shard else ""
        if self.round:
            where = f"repair {self.round}, {where}"
        return f"{where}job {self.provider_job_id} (task {self.task_id})"

    @property
    def round(self) -> int:
        """0 for the run's own shards and for raw parameters, else the repair round."""
        return self.shard.round if self.shard else 0


class Outcome(Value, frozen=True):
    """How a job ended. `state` is the provider's, in our words; `outputs` are file ids, answers before errors."""

    job: Job
    state: RemoteState
    status: str
    outputs: list[str]
    requests_total: int
    requests_done: int
    requests_failed: int
    input_tokens: int
    output_tokens: int
    error_code: str | None = None
    error_message: str | None = None
    instance_seconds: float = 0.0
    seen_at: float | UnsetType = UNSET
    """Epoch seconds of the look that saw the end; unset by earlier versions."""


def ended(remote: RemoteJob) -> bool:
    return remote.state in ENDED


def is_running(remote: RemoteJob) -> bool:
    """Whether there is something to cancel: a job whose files lag has ended, and a second cancel is often refused."""
    return remote.state == "running"


def is_spent(remote: RemoteJob) -> bool:
    """Ended without a single answer: the only jobs whose rows may be submitted again as a whole."""
    return ended(remote) and not remote.has_answers


def outcome(job: Job, remote: RemoteJob, seen_at: float | UnsetType = UNSET) -> Outcome:
    """The outcome to be stored, without our keys in the vendor's words."""
    code, message = remote.error_code, remote.error_message
    return Outcome(
        job=job,
        state=remote.state,
        status=remote.status,
        outputs=list(remote.outputs),
        requests_total=remote.requests_total,
        requests_done=remote.requests_done,
        requests_failed=remote.requests_failed,
        input_tokens=remote.usage.input_tokens,
        output_tokens=remote.usage.output_tokens,
        error_code=None if code is None else scrubbed(str(code)),  # some servers send a number
        error_message=None if message is None else scrubbed(str(message)),
        instance_seconds=remote.usage.instance_seconds,
        seen_at=seen_at,
    )


def status_line(remote: RemoteJob) -> str:
    """n of N for the log."""
    failed = f", {remote.requests_failed} failed" if remote.requests_failed else ""
    if not remote.requests_total:
        return remote.status
    return f"{remote.status}, {remote.requests_done} of {remote.requests_total}{failed}"
