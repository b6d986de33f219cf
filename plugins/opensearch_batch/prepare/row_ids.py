"""Row ids: the rows of a shard, read again from the shard's files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from opensearch_batch.flow.jobs import Job
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


LENGTHS = ("dimensions", "output_dimension")
"""Parameters of a model that say how long the vectors are."""


def asked_length(job: Job) -> int | None:
    """How many numbers the vectors were asked to have: the shard's requests say; None where no request does."""
    if job.shard is None:
        return None
    with open_binary(job.shard.uri) as lines:
        return _length_in(orjson.loads(next(iter(lines), b"null")))


def _length_in(request: Any) -> int | None:
    if not isinstance(request, dict):
        return None
    told = (request.get(name) for name in LENGTHS)
    found = [each for each in told if isinstance(each, int) and not isinstance(each, bool)]
    return next(chain(found, filter(None, map(_length_in, request.values()))), None)
