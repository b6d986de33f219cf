"""Note: what a task remembers of a submission, over retries, kills and clears."""

from __future__ import annotations

from typing import Any, Protocol

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.values import Value


class Memory(Protocol):
    """Survives retries, kills and clears of the task; Airflow's task state store is a Memory."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


class Note(Value, frozen=True, omit_defaults=True):
    """A submission of the input file: `sent_at` (epoch seconds) from before the call, `job` from after the answer;
    neither after a refusal. `known` are earlier jobs of the file, not ours.
    """

    attempt: int
    input_file_id: str | None
    known: list[str] | None = None
    sent_at: float | None = None
    job: Job | None = None


def noted(memory: Memory, key: str) -> Note | None:
    """Raise UnknownAnswer for a note of another version."""
    value = memory.get(key)
    return Note.from_dict(value) if value else None
