"""Chunks as nested objects of their documents: a document is written once, when all of its chunks have vectors.

An update replaces the array of chunks whole. The chunks of a document lie in several files of results, in any order;
they wait in a database on disk for those that are to come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson
from msgspec.structs import replace

from opensearch_batch.dotted import with_dotted
from opensearch_batch.flow.chunks import Chunk
from opensearch_batch.flow.documents import DocumentVersion, IndexState
from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.written import NAMED, Written, added
from opensearch_batch.sinks.bulk import Send
from opensearch_batch.sinks.index import Check, Texts, update_of, write_updates
from opensearch_batch.sinks.provenance import InDocument, Update
from opensearch_batch.temporary_database import temporary_database

MOST_BYTES = 100 << 20
"""Of a request, as long as http.max_content_length of the cluster says nothing else. A larger document is refused, and
never is in memory.
"""
TOO_LARGE = "document_too_large"


class _Line(msgspec.Struct):
    """A line of results: the vector as its bytes, unparsed."""

    document: DocumentVersion = msgspec.field(name="_document")
    chunk: Chunk = msgspec.field(name="_chunk")
    text_hash: str = msgspec.field(name="_text_hash")
    embedding: msgspec.Raw


@dataclass(frozen=True)
class ChunkFields:
    """The nested field of the chunks, the vector's name in it, and the provenance of the document, as dotted paths."""

    chunks: str
    vector: str
    provenance: str
    model: str
    run: str

    @property
    def hash_path(self) -> str:
        return f"{self.provenance}.text_hash"

    def chunk(self, line: _Line) -> bytes:
        """The object of a chunk; the vector's text goes in unchanged."""
        text = {} if line.chunk.text is None else {"text": line.chunk.text}
        place = {"text_hash": line.text_hash, "start": line.chunk.start, "end": line.chunk.end}
        return orjson.dumps({**text, **place, self.vector: orjson.Fragment(bytes(line.embedding))})

    def body(self, text_hash: str, chunks: Iterable[bytes]) -> bytes:
        """The partial document; `text_hash` is of the whole text."""
        made_from = {"model": self.model, "text_hash": text_hash, "run": self.run}
        whole = orjson.Fragment(b"[%b]" % b",".join(chunks))
        return orjson.dumps({"doc": with_dotted({}, {self.provenance: made_from, self.chunks: whole})})


def write_chunks(
    lines: Iterable[bytes], fields: ChunkFields, states: Sequence[IndexState], send: Send, check: Check, texts: Texts
) -> Written:
    """Write the documents whose chunks are all among the lines of files of results; the others are counted as
    incomplete, and left alone. Repeating is safe. Raises what sinks.index.write_vectors raises.
    """
    known = {state.index: state for state in states}
    with temporary_database() as db:
        joined = _Joined(db, fields)
        provenance = InDocument(fields.hash_path)
        written = write_updates(joined.updates(lines, known), provenance, known, send, check, texts)
        whole = added([written, joined.refused()])
        incomplete, named = joined.incomplete()
        named = [*whole.named, *named][:NAMED]
        return replace(whole, chunks=joined.chunks, incomplete=incomplete, named=named)


class _Joined:
    """Chunks by document, in an empty database. Memory holds one document."""

    def __init__(self, db: sqlite3.Connection, fields: ChunkFields) -> None:
        self._db, self._fields = db, fields
        self.chunks = 0
        db.execute(
            "CREATE TABLE documents (number INTEGER PRIMARY KEY, version BLOB UNIQUE, waits_for INTEGER, bytes INTEGER)"
        )
        db.execute("CREATE TABLE chunks (document INTEGER, number INTEGER, content BLOB, UNIQUE (document, number))")

    def updates(self, lines: Iterable[bytes], known: Mapping[str, IndexState]) -> Iterator[Update]:
        """Yield the update of each document as soon as its last chunk has come."""
        decoder = msgspec.json.Decoder(_Line)
        for raw in lines:
            line = decoder.decode(raw)
            if (number := self._completed_by(line)) is not None:
                query = "SELECT content FROM chunks WHERE document = ? ORDER BY number"
                body = self._fields.body(line.chunk.of_hash, (row[0] for row in self._db.execute(query, (number,))))
                self._db.execute("DELETE FROM chunks WHERE document = ?", (number,))
                yield update_of(line.document, line.chunk.of_hash, body, known)

    def _completed_by(self, line: _Line) -> int | None:
        """Keep a chunk; return the number of its document where it was the last. A chunk that comes again counts once,
        e.g. of a file that two tries have landed.
        """
        version = msgspec.json.encode((line.document, line.chunk.of_hash))
        self._db.execute("INSERT OR IGNORE INTO documents VALUES (NULL, ?, ?, 0)", (version, line.chunk.count))
        query = "SELECT number, waits_for FROM documents WHERE version = ?"
        number, left = self._db.execute(query, (version,)).fetchone()
        if not left:
            return None
        content = self._fields.chunk(line)
        kept = self._db.execute("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?)", (number, line.chunk.number, content))
        if not kept.rowcount:
            return None
        self.chunks += 1
        (size,) = self._db.execute(
            "UPDATE documents SET waits_for = waits_for - 1, bytes = bytes + ? WHERE number = ? RETURNING bytes",
            (len(content), number),
        ).fetchone()
        return number if left == 1 and size <= MOST_BYTES else None

    def refused(self) -> Written:
        """The documents that are too large for a request."""
        query = "SELECT version, bytes FROM documents WHERE waits_for = 0 AND bytes > ? ORDER BY number"
        found = self._db.execute(query, (MOST_BYTES,)).fetchall()
        words = f"a request may have {MOST_BYTES}. Raise input.chunks.size, or say keep_text: false"
        examples = [
            Example(_id(version), TOO_LARGE, f"{size} bytes of chunks; {words}") for version, size in found[:NAMED]
        ]
        return Written(refused={TOO_LARGE: len(found)}, examples=examples) if found else Written()

    def incomplete(self) -> tuple[int, list[str]]:
        """Return the number of documents with a chunk that did not come, and the first of their ids."""
        (count,) = self._db.execute("SELECT count(*) FROM documents WHERE waits_for > 0").fetchone()
        query = "SELECT version FROM documents WHERE waits_for > 0 ORDER BY number LIMIT ?"
        return count, [_id(version) for (version,) in self._db.execute(query, (NAMED,))]


def _id(version: bytes) -> str:
    document, _ = msgspec.json.decode(version, type=tuple[DocumentVersion, str])
    return document.id
