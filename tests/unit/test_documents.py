"""What became of each document of a bulk request, by the server's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_batch.cluster.documents import BulkItem, bulk
from opensearch_batch.cluster.replies import read_reply

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
