"""Provenance in a sidecar index: an entry for each vector, where the index of the documents has no field for it.

An entry says which text a vector is of, and names the vector by a hash. `noted` is the vector of one version of the
document: while the document has that version, the entry alone tells. After any later write of anybody's the vector
itself is compared, because its owner may have written an older one back. `coming` is a vector that was about to be
written: where a task was killed in between, the vector in the document tells whether it was.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterator
from typing import Any

import orjson

from opensearch_batch.flow.documents import DocumentVersion
from opensearch_batch.flow.values import Value

KEYWORD = {"type": "keyword"}
_STATEMENT = {"model": KEYWORD, "text_hash": KEYWORD, "vector_hash": KEYWORD, "run": KEYWORD}
MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "index": KEYWORD,
        "field": KEYWORD,
        "id": KEYWORD,
        "routing": KEYWORD,
        "noted": {
            "properties": {
                **_STATEMENT,
                "uuid": KEYWORD,
                "seq_no": {"type": "long"},
                "primary_term": {"type": "long"},
            }
        },
        "coming": {"properties": _STATEMENT},
    },
}
"""Of a sidecar index; one of another mapping is not taken."""


class Statement(Value, frozen=True, kw_only=True):
    """What a vector is, and what it was made of."""

    model: str
    text_hash: str
    vector_hash: str
    run: str


class Noted(Statement, frozen=True, kw_only=True):
    """The vector of a version of a document; `uuid` is the index's."""

    uuid: str
    seq_no: int
    primary_term: int

    def is_of(self, document: DocumentVersion, uuid: str | None) -> bool:
        return (self.uuid, self.seq_no, self.primary_term) == (uuid, document.seq_no, document.primary_term)


class SidecarEntry(Value, frozen=True, kw_only=True):
    """`field` is the vector's: an index may have several. `index` is a concrete index."""

    index: str
    field: str
    id: str
    routing: str | None = None
    noted: Noted | None = None
    coming: Statement | None = None

    @property
    def statements(self) -> Iterator[Statement]:
        yield from (statement for statement in (self.noted, self.coming) if statement)

    def statement_of(self, vector_hash: str | None) -> Statement | None:
        """Return what is said of a vector; None for a vector of which nothing is."""
        return next((statement for statement in self.statements if statement.vector_hash == vector_hash), None)


def key_of(document: DocumentVersion, field: str) -> str:
    """Return the id of an entry, 32 hexadecimal digits: an id of a document may be as long as an id can be."""
    named = orjson.dumps([document.index, field, document.routing, document.id])
    return hashlib.blake2b(named, digest_size=16).hexdigest()


def vector_hash(numbers: Any) -> str | None:
    """Return 32 hexadecimal digits that stand for a vector in single precision, as an index keeps it; None for what is
    no vector.
    """
    try:
        single = array("f", numbers)
    except TypeError:
        return None
    if sys.byteorder == "big":
        single.byteswap()
    return hashlib.blake2b(single.tobytes(), digest_size=16).hexdigest()
