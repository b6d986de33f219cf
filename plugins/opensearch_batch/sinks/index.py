"""An index as sink: vectors go into their documents by bulk requests, each only over the version that was read.

A document that was edited or deleted meanwhile is superseded: counted and named, never written. Before each request the
indices are compared with what was read, because the condition of a write names no index: in an index that was made
again, sequence numbers count from 0 and old conditions fit new documents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.documents import BulkItem, Found
from opensearch_batch.dotted import value_at, with_dotted
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.flow.documents import DocumentVersion, IndexState
from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.written import NAMED, Written, added
from opensearch_batch.sinks.bulk import CONFLICT, NOT_FOUND, Send, send_all

Check = Callable[[Sequence[IndexState]], None]


class _Line(msgspec.Struct):
    """A line of results: the vector as its bytes, unparsed."""

    id: str
    document: DocumentVersion = msgspec.field(name="_document")
    text_hash: str = msgspec.field(name="_text_hash")
    embedding: msgspec.Raw


@dataclass(frozen=True)
class Update:
    """A vector on its way: two lines of a bulk request. `text_hash` names the text together with the model that the
    text was sent to (flow/text_hash.py).
    """

    document: DocumentVersion
    text_hash: str
    lines: bytes

    @property
    def index(self) -> str:
        return self.document.index


@dataclass(frozen=True)
class VectorFields:
    """The fields that a vector and its provenance go to, as dotted paths."""

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
        fields = with_dotted({}, {self.provenance: made_from, self.vector: orjson.Fragment(vector)})
        return orjson.dumps({"doc": fields})


def write_vectors(
    lines: Iterable[bytes], fields: VectorFields, states: Sequence[IndexState], send: Send, check: Check
) -> Written:
    """Write the vectors of a file of results. Repeating is safe: a vector that is there counts as written.

    `check` raises where one of some indices is no longer what was read; it is asked before each request. Raise Refused
    for a block that only a person lifts, Throttled where the cluster stays busy.
    """
    known = {state.index: state for state in states}
    return write_updates(_updates(lines, fields, known), fields.hash_path, known, send, check)


def write_updates(
    updates: Iterator[Update], hash_path: str, known: Mapping[str, IndexState], send: Send, check: Check
) -> Written:
    """Write updates, as write_vectors does; `known` are the states of their indices."""
    sink = _Sink(hash_path, send, lambda indices: check([known[index] for index in indices]))
    send_all(updates, send, sink.check, sink.take)
    return added(sink.parts)


def first_length(lines: Iterable[bytes]) -> int | None:
    """Count the numbers of the first vector of a file of results; None in an empty file."""
    first = next(iter(lines), None)
    return None if first is None else len(msgspec.json.decode(msgspec.json.decode(first, type=_Line).embedding))


def _updates(lines: Iterable[bytes], fields: VectorFields, known: Container[str]) -> Iterator[Update]:
    decoder = msgspec.json.Decoder(_Line)
    for raw in lines:
        line = decoder.decode(raw)
        body = fields.body(line.text_hash, bytes(line.embedding))
        yield update_of(line.document, line.text_hash, body, known)


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

    def __init__(self, hash_path: str, send: Send, check: Callable[[set[str]], None]) -> None:
        self._hash_path, self._send, self.check = hash_path, send, check
        self._turn = threading.Lock()
        self.parts: list[Written] = []

    def take(self, answered: list[tuple[Update, BulkItem]]) -> None:
        conflicts: list[Update] = []
        missing: list[DocumentVersion] = []
        refused: list[tuple[DocumentVersion, BulkItem]] = []
        for update, item in answered:
            if item.status == CONFLICT:
                conflicts.append(update)
            elif item.status == NOT_FOUND:
                missing.append(update.document)
            elif item.status >= 400:
                refused.append((update.document, item))
        if missing:
            self.check(
                {document.index for document in missing}
            )  # an index that is gone answers the same as a document that is gone
        ours, edited, deleted = self._conflicting(conflicts)
        deleted += [document.id for document in missing]
        ended = len(answered) - len(conflicts) - len(missing) - len(refused)
        self._count(
            Written(
                ended + ours,
                len(edited),
                len(deleted),
                _counted(item.type for _, item in refused),
                [*edited, *deleted][:NAMED],
                [Example(document.id, item.type, item.reason) for document, item in refused[:NAMED]],
            )
        )

    def _conflicting(self, conflicts: Sequence[Update]) -> tuple[int, list[str], list[str]]:
        """Tell our own earlier writes, whose answer was lost or whose task was killed, from edits and deletions."""
        if not conflicts:
            return 0, [], []
        wanted = [
            {"_index": each.index, "_id": each.id, "_source": [self._hash_path]}
            | ({} if each.routing is None else {"routing": each.routing})
            for each in (update.document for update in conflicts)
        ]
        found: list[Found] = self._send(documents.get_documents(wanted))
        ours, edited, deleted = 0, [], []
        for update, answer in zip(conflicts, found, strict=True):
            document = update.document
            if answer.error:
                kind = Refused if "security_exception" in answer.error else Unavailable
                raise kind(f"{document.index}: {document.id} cannot be read: {answer.error}")
            if answer.source is None:
                deleted.append(document.id)
            elif value_at(answer.source, self._hash_path) == update.text_hash:
                ours += 1
            else:
                edited.append(document.id)
        return ours, edited, deleted

    def _count(self, part: Written) -> None:
        with self._turn:
            self.parts = [added([*self.parts, part])]


def _counted(types: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in types:
        counts[each] = counts.get(each, 0) + 1
    return counts
