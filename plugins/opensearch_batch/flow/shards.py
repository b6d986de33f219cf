"""Shard: an input file of the provider, as it travels between tasks."""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_batch.flow.values import Value


@dataclass(frozen=True)
class Shard(Value):
    """One input file at `uri`. `records` are rows; `estimated_tokens` is a quarter of the bytes of their text.

    `ids_uri`: the rows' ids, where a request has many (prepare/grouping.py); None where each request is
    named by its row's id.
    `round` is 0 for a shard of the input, else that of the repair that it belongs to; indexes count anew in each.
    """

    index: int
    uri: str
    sha256: str
    records: int
    bytes: int
    estimated_tokens: int
    ids_uri: str | None = None
    round: int = 0

    @property
    def name(self) -> str:
        return f"shard {self.index}" + (f" of repair {self.round}" if self.round else "")

    @property
    def part(self) -> str:
        """In the names of its files at the output: no two shards of a run share it."""
        return f"r{self.round}-{self.index:05d}" if self.round else f"{self.index:05d}"

    @property
    def run_folder(self) -> str:
        """What all shards of a run share; each preparation has a folder of its own there."""
        return self.uri.rsplit("/", 2)[0]

    def handed_on_uri(self, job_key: str) -> str:
        """Of the rows that the shard's job leaves to a repair round. No preparation empties this place: where it is,
        the rows are no longer this shard's to submit.
        """
        return f"{self.run_folder}/repair-{job_key}.jsonl"
