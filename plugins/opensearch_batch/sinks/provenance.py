"""Provenance of vectors that are written: in their documents, or in a sidecar index beside each request.

A sidecar's entry is written twice: before a request that vectors are coming, and after it which version of the document
has its vector. A task that is killed in between leaves an entry that tells whose vector the document has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.documents import Found
from opensearch_batch.dotted import value_at
from opensearch_batch.errors import Refused, Throttled, Unavailable
from opensearch_batch.flow.documents import DocumentVersion
from opensearch_batch.flow.provenance import SidecarEntry, key_of, vector_hash
from opensearch_batch.sinks.bulk import CONFLICT, NOT_FOUND, Send, answered, batches, is_busy

RETRIES = 3
"""Of an update of an entry that meets another one's."""


@dataclass(frozen=True)
class Update:
    """A vector on its way: two lines of a bulk request. `text_hash` names the text together with the model that the
    text was sent to (flow/text_hash.py); `vector_hash` the vector, for a sidecar.
    """

    document: DocumentVersion
    text_hash: str
    lines: bytes
    vector_hash: str | None = None

    @property
    def index(self) -> str:
        return self.document.index


@dataclass(frozen=True)
class Settled:
    """What became of the updates of a request: those whose vector a version of the document has, those of documents
    whose text was edited, and those of documents that are gone.
    """

    written: Sequence[tuple[Update, DocumentVersion]]
    edited: Sequence[Update]
    deleted: Sequence[Update]


class Provenance(Protocol):
    @property
    def leaf(self) -> str:
        """The field by which a document tells whether an update has reached it."""

    def has_reached(self, update: Update, source: Mapping[str, Any]) -> bool:
        """Whether a document, with that field, has the vector of an update."""

    def are_as_read(self, updates: Sequence[Update], sources: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Whether each document, with that field, has no other vector than when it was read: a vector that a later run
        has written stays. Raise BatchError.
        """

    def before(self, updates: Sequence[Update]) -> None:
        """Is called before a request."""

    def after(self, settled: Settled) -> None:
        """Is called when a request's end is known. Raise Transient, and the request is sent again."""


@dataclass(frozen=True)
class InDocument:
    """The provenance is in the update itself. `leaf` is the path of the text's hash."""

    leaf: str

    def has_reached(self, update: Update, source: Mapping[str, Any]) -> bool:
        """A hash that was there when the document was read tells nothing: it stays where its owner takes the vector
        away. Such a document is written again, also where it has the vector already.
        """
        return bool(value_at(source, self.leaf) == update.text_hash != update.document.had)

    def are_as_read(self, updates: Sequence[Update], sources: Sequence[Mapping[str, Any]]) -> list[bool]:
        return [
            value_at(source, self.leaf) in (None, update.document.had)
            for update, source in zip(updates, sources, strict=True)
        ]

    def before(self, updates: Sequence[Update]) -> None: ...

    def after(self, settled: Settled) -> None: ...


@dataclass(frozen=True)
class InSidecar:
    """`name` is the sidecar's index, `leaf` the vector's field; `uuids` are those of the documents' indices."""

    name: str
    leaf: str
    model: str
    run: str
    uuids: Mapping[str, str]
    send: Send

    def has_reached(self, update: Update, source: Mapping[str, Any]) -> bool:
        return vector_hash(value_at(source, self.leaf)) == update.vector_hash

    def are_as_read(self, updates: Sequence[Update], sources: Sequence[Mapping[str, Any]]) -> list[bool]:
        """A vector of which nothing is noted may be anybody's, so it counts as a later one."""
        wanted = [self._place(update.document) for update in updates]
        found: list[Found] = self.send(documents.get_documents(wanted))
        return [
            (vector := vector_hash(value_at(source, self.leaf))) is None or self._was_there(update, vector, entry)
            for update, source, entry in zip(updates, sources, found, strict=True)
        ]

    def _was_there(self, update: Update, vector: str, found: Found) -> bool:
        """Whether a vector was in the document when that was read."""
        if found.error:
            raise (Refused if "security_exception" in found.error else Unavailable)(
                f"{self.name} cannot be read: {found.error}"
            )
        noted = SidecarEntry.from_dict(found.source).noted if found.source else None
        if noted is None or noted.vector_hash != vector:
            return False
        return noted.uuid == self.uuids[update.index] and noted.seq_no <= update.document.seq_no

    def before(self, updates: Sequence[Update]) -> None:
        self._write([self._entry(update.document, coming=self._statement(update)) for update in updates])

    def after(self, settled: Settled) -> None:
        """An entry of a document that was edited stays: what is coming is held against the vector that is there."""
        written = [
            self._entry(version, noted=self._statement(update) | self._version(version), coming=None)
            for update, version in settled.written
        ]
        self._write([*written, *(self._removal(update.document) for update in settled.deleted)])

    def _statement(self, update: Update) -> dict[str, Any]:
        made_from = {"model": self.model, "text_hash": update.text_hash}
        return made_from | {"vector_hash": update.vector_hash, "run": self.run}

    def _version(self, document: DocumentVersion) -> dict[str, Any]:
        numbers = {"seq_no": document.seq_no, "primary_term": document.primary_term}
        return {"uuid": self.uuids[document.index], **numbers}

    def _entry(self, document: DocumentVersion, **parts: Any) -> _Line:
        """Update the parts of an entry, or make it: one that has them already is not written."""
        routing = {} if document.routing is None else {"routing": document.routing}
        about = {"index": document.index, "field": self.leaf, "id": document.id, **routing}
        head = {"update": {**self._place(document), "retry_on_conflict": RETRIES}}
        body = {"doc": {**about, **parts}, "doc_as_upsert": True}
        return _Line(self.name, document.id, b"%b\n%b\n" % (orjson.dumps(head), orjson.dumps(body)))

    def _removal(self, document: DocumentVersion) -> _Line:
        head = orjson.dumps({"delete": self._place(document)}, option=orjson.OPT_APPEND_NEWLINE)
        return _Line(self.name, document.id, head)

    def _place(self, document: DocumentVersion) -> dict[str, str]:
        return {"_index": self.name, "_id": key_of(document, self.leaf)}

    def _write(self, lines: Sequence[_Line]) -> None:
        """Raise Throttled where the cluster has no place for an entry now: all come again with their request."""
        for batch in batches(lines):
            for line, item in answered(batch, self.send):
                if is_busy(line, item) or item.status == CONFLICT:
                    raise Throttled(f"{self.name}: the cluster has no place for an entry now: {item.type}")
                is_absent = item.status == NOT_FOUND and not item.type  # an entry that was to be removed
                if item.status >= 400 and not is_absent:
                    raise Refused(
                        f"{self.name} does not take the provenance of {line.id}: {item.type}: {item.reason}"
                        f"{_what_now(self.name, item.type)}"
                    )


def _what_now(name: str, kind: str) -> str:
    if kind == "index_closed_exception":
        return f" It is closed: POST {name}/_open, and clear this task"
    if kind in ("strict_dynamic_mapping_exception", "mapper_parsing_exception"):
        return f" Somebody has made it again with another mapping: DELETE {name}, and clear this task"
    return ""


@dataclass(frozen=True)
class _Line:
    """An entry on its way; `id` is its document's."""

    index: str
    id: str
    lines: bytes
