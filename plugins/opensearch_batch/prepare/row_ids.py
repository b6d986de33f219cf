"""Row ids: the rows of a shard, read again from the shard's files."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.grouping import read_groups
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.storage import open_binary


def row_ids(shard: Shard, provider: Provider) -> Iterator[str]:
    """In the shard's order."""
    if groups := row_groups(shard):
        for ids in groups.values():
            yield from ids
        return
    with open_binary(shard.uri) as lines:
        yield from (provider.request_id(orjson.loads(line)) for line in lines)


def row_groups(shard: Shard) -> dict[str, tuple[str, ...]] | None:
    """Return row ids by request; None for a shard with one row a request, named by the row's id."""
    if shard.ids_uri is None:
        return None
    with open_binary(shard.ids_uri) as lines:
        return read_groups(lines)
