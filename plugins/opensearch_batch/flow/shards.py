"""Shard: an input file of the provider."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.values import Value

ONLINE = 9
"""The round of the shards whose rows are asked online, after all rounds of batches: a DAG has three at most."""

FieldType = Literal["text", "integer", "number", "boolean", "json"]
"""Of an included field; `json` is text that holds any JSON."""


class Shard(Value, frozen=True):
    """An input file at `uri`. `records` are rows; `estimated_tokens` is a quarter of the bytes of the rows' text.

    `ids_uri` is the file of the rows' ids, where requests have many rows (prepare/grouping.py); None where a request
    is named by the row's id. `round` is 0 for a shard of the input, else the repair round; indexes count anew in a
    round. `asked` is the kind of answer that the requests ask for; unset in shards of earlier versions.

    `fields_uri` is the file of the fields that results have from their rows, a line a row in the shard's order, and
    `field_types` the fields' names and types; unset without such fields. `twins` are rows on top, with a text of the
    shard: their lines follow their row's, and they get its answer (sources/records.py). `schema_uri` is the object of
    the OutputSchema that each answer must fit; unset without one. `images` are those of the rows, in a repair
    round by the mean of the round before; unset without any.
    """

    index: int
    uri: str
    sha256: str
    records: int
    bytes: int
    estimated_tokens: int
    ids_uri: str | None = None
    round: int = 0
    asked: Asked | UnsetType = UNSET
    fields_uri: str | UnsetType = UNSET
    field_types: tuple[tuple[str, FieldType], ...] | UnsetType = UNSET
    twins: int | UnsetType = UNSET
    schema_uri: str | UnsetType = UNSET
    images: int | UnsetType = UNSET

    @property
    def name(self) -> str:
        return shard_name(self.index, self.round)

    @property
    def part(self) -> str:
        """The part of an output file's name that tells the shards of a run apart."""
        if self.is_online:
            return f"online-{self.index:05d}"
        return f"r{self.round}-{self.index:05d}" if self.round else f"{self.index:05d}"

    @property
    def is_online(self) -> bool:
        """Whether the rows are asked one by one, and no job has them."""
        return self.round == ONLINE

    @property
    def run_folder(self) -> str:
        """The folder shared by all shards of a run, with a folder in it for every preparation."""
        return self.uri.rsplit("/", 2)[0]

    @property
    def run_key(self) -> str:
        """The key of the run's files, which names the folder."""
        return self.run_folder.rsplit("/", 1)[-1]

    def handed_on_uri(self, job_key: str) -> str:
        """URI of the rows left to a repair round by the shard's job. No preparation removes the object: while the
        object exists, the shard must not submit the rows again.
        """
        return f"{self.run_folder}/repair-{job_key}.jsonl"


def shard_name(index: int, round: int) -> str:
    """Name a shard of a run: "shard 3", "shard 0 of repair 1", "shard 0 of the stragglers"."""
    if round == ONLINE:
        return f"shard {index} of the stragglers"
    return f"shard {index}" + (f" of repair {round}" if round else "")
