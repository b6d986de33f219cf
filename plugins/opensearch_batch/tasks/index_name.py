"""The name of a mapped task in the UI, instead of a number: its shards and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.report import shards_named
from opensearch_batch.prepare.plan import counted
from opensearch_batch.tasks.base import flat

TEMPLATE = "{{ task.index_name }}"
"""For map_index_template."""


def index_name(values: Any) -> str:
    """Name the shards of a bundle, of jobs or of outcomes, e.g. "shards 4, 5: 3000 rows"; empty without a shard."""
    shards = list(_shards(values))
    if not shards:
        return ""
    first = shards[0]
    repair = f" of repair {first.round}" if first.round and not first.is_online else ""
    rows = sum(shard.records for shard in shards)
    return f"{shards_named([shard.index for shard in shards])}{repair}: {counted(rows, 'row')}"


def _shards(values: Any) -> Iterator[Shard]:
    for value in flat(values or []):
        job = value.get("job", value)
        shard = job.get("shard", job)
        if isinstance(shard, Mapping) and "sha256" in shard:
            yield Shard.from_dict(shard)
