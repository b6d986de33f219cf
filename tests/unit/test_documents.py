"""What became of each document of a bulk request, and of a refresh, by the server's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_batch.cluster.documents import BulkItem, bulk, refresh
from opensearch_batch.cluster.replies import read_reply
from opensearch_batch.errors import Unavailable

FULL = {"type": "mapper_parsing_exception", "reason": "failed to parse", "caused_by": {"reason": "too deep"}}


@pytest.mark.parametrize(
    ("error", "item"),
    [
        (FULL, BulkItem(400, "mapper_parsing_exception", "failed to parse: too deep")),
        ({"type": "null_pointer_exception", "reason": None}, BulkItem(400, "null_pointer_exception", "")),
        ({"type": "a", "reason": None, "caused_by": {"reason": "b"}}, BulkItem(400, "a", ": b")),
    ],
)
def test_a_document_that_was_refused(error: dict[str, Any], item: BulkItem) -> None:
    answer = {"items": [{"index": {"status": 400, "error": error}}]}
    assert read_reply(bulk(b""), 200, json.dumps(answer), {}) == [item]


def test_a_refresh_that_failed_in_a_shard_is_an_error() -> None:
    """The status is 200 all the same, and a search would not see the shard's last writes."""
    answer = {"_shards": {"total": 3, "successful": 2, "failed": 1, "failures": [{"shard": 1}]}}
    with pytest.raises(Unavailable, match="refresh index articles: .*1 shards failed"):
        read_reply(refresh("articles"), 200, json.dumps(answer), {})


def test_a_refresh_of_an_index_whose_replica_lies_on_no_node_is_done() -> None:
    answer = {"_shards": {"total": 2, "successful": 1, "failed": 0}}
    assert read_reply(refresh("articles"), 200, json.dumps(answer), {}) is None
