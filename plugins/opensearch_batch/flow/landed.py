"""Landed: the counts and files of a shard's job."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, RemoteState
from opensearch_batch.flow.values import Value


class Example(Value, frozen=True):
    """A failed row; `message` is the begin of the provider's words."""

    id: str
    code: str
    message: str


class Landed(Value, frozen=True):
    """The end of a shard's rows. `answered + failed + missing`, and the rows handed on to a repair round (`passing`,
    counted by code), make `records`; duplicates, foreign and unreadable lines come on top.

    `results`, `failures` and `repair` (the rows handed on) are None without rows. `examples` are the first failed rows
    of every code. `zero_vectors` and `truncated` texts are answers, and count in `answered` too; unset by earlier
    versions.
    """

    job: Job
    state: RemoteState
    records: int
    answered: int
    failed: int
    missing: int
    duplicates: int
    foreign: int
    unreadable: int
    input_tokens: int
    output_tokens: int
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    results: DataFile | None = None
    failures: DataFile | None = None
    passing: dict[str, int] = field(default_factory=dict)
    repair: DataFile | None = None
    instance_seconds: float = 0.0
    zero_vectors: int | UnsetType = UNSET
    truncated: int | UnsetType = UNSET
