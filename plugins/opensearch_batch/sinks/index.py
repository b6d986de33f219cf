"""An index as sink: vectors go into their documents by bulk requests, each only over a version that is known to have
the text that was sent.

That is the version that was read. A document that was written since is read again: with the same text, and no vector of
a later run, it takes its vector over the version that it has now. Else it is superseded: counted and named, never
written. Before each request the indices are compared with what was read, because the condition of a write names
no index: in an index that was made again, sequence numbers count from 0 and old conditions fit new documents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec
import orjson

from opensearch_batch.cluster.documents import BulkItem
from opensearch_batch.cluster.indices import Held, held_documents
from opensearch_batch.dotted import with_dotted
from opensearch_batch.errors import Refused, Throttled, Unavailable
from opensearch_batch.flow.documents import DocumentVersion, IndexState
from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.provenance import vector_hash
from opensearch_batch.flow.written import NAMED, Written, added
from opensearch_batch.sinks.bulk import CONFLICT, NOT_FOUND, Send, answered, batches, is_busy, send_all
from opensearch_batch.sinks.provenance import InDocument, InSidecar, Provenance, Settled, Update

Check = Callable[[Sequence[IndexState]], None]

AT_ONCE = 50
"""Documents that are read again at once, with their texts."""
MOST_REREAD = 5
"""So many times a document is read again that others keep writing."""


class Texts(Protocol):
    """Tells the text of a document (sources/reread.py)."""

    @property
    def fields(self) -> Sequence[str]:
        """What has to be read of a document."""

    def text_hash(self, source: Mapping[str, Any]) -> str | None:
        """Return the hash of a document's text; None for a document that no vector may go into."""


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
    texts: Texts,
    sidecar: str | None = None,
) -> Written:
    """Write the vectors of a file of results. Repeating is safe: a vector that is there counts as written. `texts`
    tells the text of a document that was written since it was read; `sidecar` is the index for the provenance, where
    `fields` has no place for it.

    `check` raises where one of some indices is no longer what was read; it is asked before each request. Raise Refused
    for a block that only a person lifts, Throttled where the cluster stays busy.
    """
    known = {state.index: state for state in states}
    provenance: Provenance = InDocument(fields.hash_path)
    if sidecar:
        uuids = {state.index: state.uuid for state in states}
        provenance = InSidecar(sidecar, fields.vector, fields.model, fields.run, uuids, send)
    updates = _updates(lines, fields, known, hashed=sidecar is not None)
    return write_updates(updates, provenance, known, send, check, texts)


def write_updates(
    updates: Iterator[Update],
    provenance: Provenance,
    known: Mapping[str, IndexState],
    send: Send,
    check: Check,
    texts: Texts,
) -> Written:
    """Write updates, as write_vectors does; `known` are the states of their indices."""
    sink = _Sink(provenance, send, lambda indices: check([known[index] for index in indices]), texts)
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
    return Update(document, text_hash, b"%b\n%b\n" % (_head(document), body))


def _head(document: DocumentVersion) -> bytes:
    """The line with the condition: the version of the document."""
    action = {
        "_index": document.index,
        "_id": document.id,
        "if_seq_no": document.seq_no,
        "if_primary_term": document.primary_term,
    }
    if document.routing is not None:
        action["routing"] = document.routing
    return orjson.dumps({"update": action})


def _over(update: Update, held: Held) -> Update:
    """Return an update on the condition of the version that the document has now."""
    document = _at(update.document, held)
    _, _, body = update.lines.partition(b"\n")
    return replace(update, document=document, lines=b"%b\n%b" % (_head(document), body))


@dataclass
class _Ends:
    """What became of the updates of a request."""

    written: list[tuple[Update, DocumentVersion]] = field(default_factory=list)
    edited: list[Update] = field(default_factory=list)
    deleted: list[Update] = field(default_factory=list)
    refused: list[tuple[Update, BulkItem]] = field(default_factory=list)

    def counted(self) -> Written:
        return Written(
            len(self.written),
            len(self.edited),
            len(self.deleted),
            _counted(item.type for _, item in self.refused),
            [update.document.id for update in (*self.edited, *self.deleted)][:NAMED],
            [Example(update.document.id, item.type, item.reason) for update, item in self.refused[:NAMED]],
        )


class _Sink:
    """Counts what becomes of updates, from several threads."""

    def __init__(self, provenance: Provenance, send: Send, check: Callable[[set[str]], None], texts: Texts) -> None:
        self._provenance, self._send, self._check, self._texts = provenance, send, check, texts
        self._turn = threading.Lock()
        self.parts: list[Written] = []

    def before(self, updates: Sequence[Update]) -> None:
        self._check({update.index for update in updates})
        self._provenance.before(updates)

    def take(self, ended: list[tuple[Update, BulkItem]]) -> None:
        ends = _Ends()
        conflicts = self._taken(ended, ends)
        for _ in range(MOST_REREAD):
            same = self._read_again(conflicts, ends)
            conflicts = self._taken(self._sent_again(same), ends)
            if not conflicts:
                break
        ends.edited += self._read_again(conflicts, ends)
        # A refused vector is not in its document, as one over which somebody else has written.
        unwritten = [*ends.edited, *(update for update, _ in ends.refused)]
        self._provenance.after(Settled(ends.written, unwritten, ends.deleted))
        with self._turn:
            self.parts = [added([*self.parts, ends.counted()])]

    def _taken(self, ended: Sequence[tuple[Update, BulkItem]], ends: _Ends) -> list[Update]:
        """Note what became of the updates of a request; return those whose document was written since."""
        conflicts: list[Update] = []
        missing: list[Update] = []
        for update, item in ended:
            if item.status == CONFLICT:
                conflicts.append(update)
            elif item.status == NOT_FOUND:
                missing.append(update)
            elif item.status >= 400:
                ends.refused.append((update, item))
            else:
                ends.written.append((update, _at(update.document, item)))
        if missing:  # an index that is gone answers the same as a document that is gone
            self._check({update.index for update in missing})
            ends.deleted += missing
        return conflicts

    def _read_again(self, conflicts: Sequence[Update], ends: _Ends) -> list[Update]:
        """Tell our own earlier writes, whose answer was lost or whose task was killed, from edits and deletions. Return
        the updates of documents that still have the text, each over the version with which it was found.
        """
        same: list[Update] = []
        for begin in range(0, len(conflicts), AT_ONCE):
            others: list[tuple[Update, Held]] = []
            for update, held in self._held(conflicts[begin : begin + AT_ONCE]):
                if held.source is None:
                    ends.deleted.append(update)
                elif self._provenance.has_reached(update, held.source):
                    ends.written.append((update, _at(update.document, held)))
                elif self._texts.text_hash(held.source) == update.text_hash:
                    others.append((update, held))
                else:
                    ends.edited.append(update)
            updates, found = [update for update, _ in others], [held.source or {} for _, held in others]
            as_read = self._provenance.are_as_read(updates, found) if others else []
            for (update, held), is_as_read in zip(others, as_read, strict=True):
                if is_as_read:
                    same.append(_over(update, held))
                else:
                    ends.edited.append(update)
        return same

    def _held(self, updates: Sequence[Update]) -> Iterator[tuple[Update, Held]]:
        fields = list(dict.fromkeys([self._provenance.leaf, *self._texts.fields]))
        wanted = [
            {"_index": each.index, "_id": each.id, "_source": fields}
            | ({} if each.routing is None else {"routing": each.routing})
            for each in (update.document for update in updates)
        ]
        found: list[Held] = self._send(held_documents(wanted))
        for update, held in zip(updates, found, strict=True):
            if held.error:
                kind = Refused if "security_exception" in held.error else Unavailable
                raise kind(f"{update.index}: {update.document.id} cannot be read: {held.error}")
            yield update, held

    def _sent_again(self, updates: Sequence[Update]) -> list[tuple[Update, BulkItem]]:
        """Raise Throttled where the cluster has no place for one now: all come again with their request."""
        ended: list[tuple[Update, BulkItem]] = []
        for batch in batches(updates):
            self.before(batch)
            for update, item in answered(batch, self._send):
                if is_busy(update, item):
                    raise Throttled(f"{update.index}: the cluster has no place for a vector now: {item.type}")
                ended.append((update, item))
        return ended


def _counted(types: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in types:
        counts[each] = counts.get(each, 0) + 1
    return counts


def _at(document: DocumentVersion, found: BulkItem | Held) -> DocumentVersion:
    return msgspec.structs.replace(document, seq_no=found.seq_no, primary_term=found.primary_term)
