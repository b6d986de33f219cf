"""What the page of all batches needs of the values that runs push. Keys beyond these are passed over, as of a later
version; a value of another shape, as of somebody else's task, is left out.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from opensearch_batch.flow.shards import shard_name


class ToldShard(msgspec.Struct, frozen=True):
    index: int
    records: int
    estimated_tokens: int
    round: int = 0
    uri: str = ""
    sha256: str = ""
    twins: int = 0

    @property
    def name(self) -> str:
        return shard_name(self.index, self.round)

    @property
    def run_key(self) -> str:
        """The key of the run's files, by the folder that has those of each preparation; empty for another URI."""
        return self.uri.split("/")[-3] if self.uri.count("/") >= 2 else ""


class ToldJob(msgspec.Struct, frozen=True):
    provider_job_id: str
    shard: ToldShard | None = None
    shared_with: str | UnsetType = UNSET
    task_id: str | None = None


class ToldOutcome(msgspec.Struct, frozen=True):
    job: ToldJob


class ToldModel(msgspec.Struct, frozen=True):
    name: str
    provider: str = ""


class ToldSpec(msgspec.Struct, frozen=True):
    model: ToldModel


class ToldPlan(msgspec.Struct, frozen=True):
    estimated_tokens: int
    estimated_usd: float | None
    run_key: str = ""


class ToldProgress(msgspec.Struct, frozen=True):
    rows_per_second: float | None = None
    seconds_left: float | None = None


class ToldLook(msgspec.Struct, frozen=True):
    seen_at: float
    progress: ToldProgress
    rows_done: dict[str, int]


Told = TypeVar("Told")


def told_json(text: str | None, shape: type[Told]) -> Told | None:
    try:
        return msgspec.json.decode(text or "null", type=shape)
    except msgspec.DecodeError:
        return None


def told(value: Any, shape: type[Told]) -> Told | None:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None
