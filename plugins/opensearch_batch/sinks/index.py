"""An index as sink: vectors go into their documents by bulk requests, each only over the version that was read.

A document that was edited or deleted meanwhile is superseded: counted and named, never written. Before each request the
indices are compared with what was read, because the condition of a write names no index: in an index that was made
again, sequence numbers count from 0 and old conditions fit new documents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import orjson

from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.cluster.indices import Held, held_documents
from opensearch_batch.dotted import with_dotted
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.flow.documents import DocumentVersion, IndexState
from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.provenance import vector_hash
from opensearch_batch.flow.written import NAMED, Written, added
from opensearch_batch.sinks.bulk import CONFLICT, NOT_FOUND, Send, send_all
from opensearch_batch.sinks.provenance import InDocument, InSidecar, Provenance, Settled, Update

Check = Callable[[Sequence[IndexState]], None]


class _Line(msgspec.Struct):
    """A line of results: the vector as its bytes, unparsed."""

    id: str
    document: DocumentVersion = msgspec.field(name="_document")
    text_hash: str = msgspec.field(name="_text_hash")
    embedding: msgspec.Raw


@dataclass(frozen=True)
class VectorFields:
    """The fields that a vector and its provenance go to, as dotted paths; "" for a provenance beside the document."""

    vector: str
    provenance: str
    model: str
    run: str

    @property
    def hash_path(self) -> str:
        return f"{self.provenance}.text_hash"

    def body(self, text_hash: str, vector: bytes) -> bytes:
        """The partial document; the vector's text goes in unchanged."""
        made_from = {"model": self.model, "text_hash": text_hash, "run": self.run}
        noted = {self.provenance: made_from} if self.provenance else {}
        return orjson.dumps({"doc": with_dotted({}, {**noted, self.vector: orjson.Fragment(vector)})})


def write_vectors(
    lines: Iterable[bytes],
    fields: VectorFields,
    states: Sequence[IndexState],
    send: Send,
    check: Check,
    sidecar: str | None = None,
) -> Written:
    """Write the vectors of a file of results. Repeating is safe: a vector that is there counts as written. `sidecar` is
    the index for the provenance, where `fields` has no place for it.

    `check` raises where one of some indices is no longer what was read; it is asked before each request. Raise Refused
    for a block that only a person lifts, Throttled where the cluster stays busy.
    """
    known = {state.index: state for state in states}
    provenance: Provenance = InDocument(fields.hash_path)
    if sidecar:
        uuids = {state.index: state.uuid for state in states}
        provenance = InSidecar(sidecar, fields.vector, fields.model, fields.run, uuids, send)
    updates = _updates(lines, fields, known, hashed=sidecar is not None)
    return write_updates(updates, provenance, known, send, check)


def write_updates(
    updates: Iterator[Update], provenance: Provenance, known: Mapping[str, IndexState], send: Send, check: Check
) -> Written:
    """Write updates, as write_vectors does; `known` are the states of their indices."""
    sink = _Sink(provenance, send, lambda indices: check([known[index] for index in indices]))
    send_all(updates, send, sink.before, sink.take)
    return added(sink.parts)


def first_length(lines: Iterable[bytes]) -> int | None:
    """Count the numbers of the first vector of a file of results; None in an empty file."""
    first = next(iter(lines), None)
    return None if first is None else len(msgspec.json.decode(msgspec.json.decode(first, type=_Line).embedding))


def _updates(lines: Iterable[bytes], fields: VectorFields, known: Container[str], *, hashed: bool) -> Iterator[Update]:
    """`hashed`: with the vectors' hashes, for which they are parsed."""
    decoder = msgspec.json.Decoder(_Line)
    for raw in lines:
        line = decoder.decode(raw)
        vector = bytes(line.embedding)
        update = update_of(line.document, line.text_hash, fields.body(line.text_hash, vector), known)
        yield replace(update, vector_hash=vector_hash(orjson.loads(vector))) if hashed else update


def update_of(document: DocumentVersion, text_hash: str, body: bytes, known: Container[str]) -> Update:
    """Return the update of a document by a partial document. Raise Refused for an index that was not read."""
    if document.index not in known:
        raise Refused(f"{document.id}: its index {document.index} is none of those that were read")
    action = {
        "_index": document.index,
        "_id": document.id,
        "if_seq_no": document.seq_no,
        "if_primary_term": document.primary_term,
    }
    if document.routing is not None:
        action["routing"] = document.routing
    head = orjson.dumps({"update": action})
    return Update(document, text_hash, b"%b\n%b\n" % (head, body))


class _Sink:
    """Counts what becomes of updates, from several threads."""

    def __init__(self, provenance: Provenance, send: Send, check: Callable[[set[str]], None]) -> None:
        self._provenance, self._send, self._check = provenance, send, check
        self._turn = threading.Lock()
        self.parts: list[Written] = []

    def before(self, updates: Sequence[Update]) -> None:
        self._check({update.index for update in updates})
        self._provenance.before(updates)

    def take(self, answered: list[tuple[Update, BulkItem]]) -> None:
        written: list[tuple[Update, DocumentVersion]] = []
        conflicts: list[Update] = []
        missing: list[Update] = []
        refused: list[tuple[Update, BulkItem]] = []
        for update, item in answered:
            if item.status == CONFLICT:
                conflicts.append(update)
            elif item.status == NOT_FOUND:
                missing.append(update)
            elif item.status >= 400:
                refused.append((update, item))
            else:
                written.append((update, _at(update.document, item)))
        if missing:
            self._check(
                {update.index for update in missing}
            )  # an index that is gone answers the same as a document that is gone
        of_earlier = self._conflicting(conflicts)
        written += of_earlier.written
        deleted = [*of_earlier.deleted, *missing]
        # A refused vector is not in its document, as one over which somebody else has written.
        unwritten = [*of_earlier.edited, *(update for update, _ in refused)]
        self._provenance.after(Settled(written, unwritten, deleted))
        named = [update.document.id for update in (*of_earlier.edited, *deleted)]
        self._count(
            Written(
                len(written),
                len(of_earlier.edited),
                len(deleted),
                _counted(item.type for _, item in refused),
                named[:NAMED],
                [Example(update.document.id, item.type, item.reason) for update, item in refused[:NAMED]],
            )
        )

    def _conflicting(self, conflicts: Sequence[Update]) -> Settled:
        """Tell our own earlier writes, whose answer was lost or whose task was killed, from edits and deletions."""
        if not conflicts:
            return Settled((), (), ())
        wanted = [
            {"_index": each.index, "_id": each.id, "_source": [self._provenance.leaf]}
            | ({} if each.routing is None else {"routing": each.routing})
            for each in (update.document for update in conflicts)
        ]
        found: list[Held] = self._send(held_documents(wanted))
        ours, edited, deleted = [], [], []
        for update, held in zip(conflicts, found, strict=True):
            document = update.document
            if held.error:
                kind = Refused if "security_exception" in held.error else Unavailable
                raise kind(f"{document.index}: {document.id} cannot be read: {held.error}")
            if held.source is None:
                deleted.append(update)
            elif self._provenance.has_reached(update, held.source):
                ours.append((update, _at(document, held)))
            else:
                edited.append(update)
        return Settled(ours, edited, deleted)

    def _count(self, part: Written) -> None:
        with self._turn:
            self.parts = [added([*self.parts, part])]


def _counted(types: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in types:
        counts[each] = counts.get(each, 0) + 1
    return counts


def _at(document: DocumentVersion, found: BulkItem | Held) -> DocumentVersion:
    return msgspec.structs.replace(document, seq_no=found.seq_no, primary_term=found.primary_term)
