"""The demo's index: a document for each docstring of the standard library, and a field for its vector."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from stdlib_docstrings import docstrings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opensearch_batch.cluster.ml_commons import Call

DOCUMENTS_A_REQUEST = 1000
DIMENSIONS = 256
"""Of the demo's vectors, whichever vendor the sandbox stands in for."""
KEYWORD = {"type": "keyword"}


def put_documents(uri: str) -> None:
    """Make the index if there is none, and put each docstring there. Repeated, it changes nothing."""
    from opensearch_batch.cluster.documents import bulk
    from opensearch_batch.cluster.hook import MLCommonsHook
    from opensearch_batch.sources.index_rows import address_of

    connection, index = address_of(uri)
    send = MLCommonsHook(connection).send
    _make_index(send, index)
    actions = (_action(index, record) for record in docstrings())
    while some := b"".join(islice(actions, DOCUMENTS_A_REQUEST)):
        refused = [item for item in send(bulk(some)) if item.status >= 400]
        if refused:
            raise RuntimeError(f"{len(refused)} documents were refused, the first: {refused[0].reason}")


def _make_index(send: Callable[[Call], Any], index: str) -> None:
    from opensearch_batch.cluster.documents import create_index, describe_indices
    from opensearch_batch.errors import Refused

    vector = {
        "type": "knn_vector",
        "dimension": DIMENSIONS,
        "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
    }
    made_from = {"properties": {"model": KEYWORD, "text_hash": KEYWORD, "run": KEYWORD}}
    fields = {"text": {"type": "text"}, "embedding": vector, "embedding_provenance": made_from}
    try:
        send(describe_indices(index))
    except Refused as error:
        if error.status != 404:
            raise
        settings = {"index": {"knn": True, "number_of_replicas": 0}}
        send(create_index(index, {"settings": settings, "mappings": {"dynamic": "strict", "properties": fields}}))


def _action(index: str, record: dict[str, str]) -> bytes:
    """An update that makes the document where there is none, and leaves one that has the same text as it is."""
    action = {"update": {"_index": index, "_id": record["id"]}}
    return _lines([action, {"doc": {"text": record["text"]}, "doc_as_upsert": True}])


def _lines(values: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)
