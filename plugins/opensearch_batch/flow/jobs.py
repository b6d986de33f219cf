"""Jobs and Outcomes: what was submitted, and how it ended. States in, decisions out; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.values import Value

RemoteState = Literal["running", "cancelling", "completed", "failed", "expired", "cancelled"]

ENDED: frozenset[RemoteState] = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(frozen=True)
class RemoteJob:
    """One look at the provider's job. `outputs` are ids for the store to read, in this order: answers before errors.
    `created_at` is in epoch seconds. `requests_total` is 0 where the vendor does not say.

    `has_answers` is only to be relied on in what a ProviderStore says of an ended job; in doubt it is True.
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
    """The vendor's name for it; None as long as the vendor does not say."""


@dataclass(frozen=True)
class Job(Value):
    """A batch that the provider accepted. `task_id` is None where the cluster kept no task for it (a lost answer).

    `key` is what the provider echoes (in the input file's name); `shard` is the Shard as a dict, None for raw
    parameters; `parameters` are those that overrode the connector's.
    """

    key: str
    attempt: int
    provider_job_id: str
    input_file_id: str | None
    task_id: str | None
    model_id: str
    shard: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        where = f"shard {self.shard['index']}, " if self.shard else ""
        if self.shard and self.shard.get("round"):
            where = f"repair {self.shard['round']}, {where}"
        return f"{where}job {self.provider_job_id} (task {self.task_id})"


@dataclass(frozen=True)
class Outcome(Value):
    """How a job ended. `state` is the provider's, in our words; `outputs` are file ids, answers before errors."""

    job: dict[str, Any]
    state: str
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


def ended(remote: RemoteJob) -> bool:
    return remote.state in ENDED


def is_spent(remote: RemoteJob) -> bool:
    """Ended without a single answer: the only jobs whose rows may be submitted again as a whole."""
    return ended(remote) and not remote.has_answers


def outcome(job: Job, remote: RemoteJob) -> Outcome:
    return Outcome(
        job=job.to_dict(),
        state=remote.state,
        status=remote.status,
        outputs=list(remote.outputs),
        requests_total=remote.requests_total,
        requests_done=remote.requests_done,
        requests_failed=remote.requests_failed,
        input_tokens=remote.usage.input_tokens,
        output_tokens=remote.usage.output_tokens,
        error_code=remote.error_code,
        error_message=remote.error_message,
        instance_seconds=remote.usage.instance_seconds,
    )


def progress(remote: RemoteJob) -> str:
    """n of N for the log."""
    failed = f", {remote.requests_failed} failed" if remote.requests_failed else ""
    if not remote.requests_total:
        return remote.status
    return f"{remote.status}, {remote.requests_done} of {remote.requests_total}{failed}"
