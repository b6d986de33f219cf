"""What is submitted and looked for: the input file of an attempt, and the job found for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.names import attempt_of
from opensearch_batch.submit.note import Note


@dataclass(frozen=True)
class Found:
    """A job of ours; not `usable` after an end without answers."""

    job: Job
    usable: bool


@dataclass(frozen=True)
class Target:
    """One submission: a file and an attempt. `known` are jobs of the file that are not ours."""

    key: str
    attempt: int
    file_id: str
    shard: Shard | None
    known: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.shard.name if self.shard else f"file {self.file_id}"


def latest_upload(key: str, note: Note | None, uploads: Mapping[str, str]) -> tuple[int, str | None]:
    """Return number and file id of the highest attempt, noted or at the provider; 1 and None without attempts.
    `uploads` are the provider's files, ids by name.
    """
    attempt, file_id = (note.attempt, note.input_file_id) if note else (1, None)
    for name, found_id in uploads.items():
        number = attempt_of(name)
        if name.startswith(f"{key}-a") and (number > attempt or (number == attempt and file_id is None)):
            attempt, file_id = number, found_id
    return attempt, file_id
