"""Documents in their shards, and what a search sees of them."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any

import orjson

GC_DELETES_SECONDS = 60.0
CLOCK_SECONDS = 0.2
"""So often a server reads the clock for that: `thread_pool.estimated_time_interval`."""


class Document:
    """One version of a document; it is never changed. `source` is what is given back (None: not kept), `indexed` what
    queries look at, `skipped` the fields that had no mapping when it was written and that no query finds.
    """

    __slots__ = ("id", "indexed", "routing", "seq_no", "skipped", "source", "term", "vectors", "version")

    def __init__(
        self,
        id: str,
        routing: str | None,
        seq_no: int,
        term: int,
        version: int,
        source: bytes | None,
        indexed: bytes,
        skipped: frozenset[str],
    ) -> None:
        self.id, self.routing, self.seq_no, self.term, self.version = id, routing, seq_no, term, version
        self.source, self.indexed, self.skipped = source, indexed, skipped
        self.vectors: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.indexed)
        return found


class Snapshot:
    """What a search sees of one shard: documents in the order of their seq_no."""

    __slots__ = ("_seq_nos", "documents", "kept")

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents
        self._seq_nos: list[int] | None = None
        self.kept: dict[Any, Any] = {}
        """Whatever was computed from it once: matrices of vectors, answers of queries."""

    def after(self, seq_no: int) -> int:
        """The position of the first document with a greater seq_no."""
        if self._seq_nos is None:
            self._seq_nos = [document.seq_no for document in self.documents]
        return bisect_right(self._seq_nos, seq_no)


class Shard:
    """`documents` is in the order of seq_no: a write takes the old version out and puts the new one last."""

    def __init__(self, number: int, next_seq: int = 0) -> None:
        self.number, self.next_seq = number, next_seq
        self.documents: dict[str, Document] = {}
        self._deleted: dict[str, tuple[int, float]] = {}
        self._snapshot = Snapshot([])
        self._changed_at: float | None = None
        """Of the first write that no search sees."""

    def take_seq_no(self) -> int:
        self.next_seq += 1
        return self.next_seq - 1

    def put(self, document: Document) -> None:
        self.documents.pop(document.id, None)
        self.documents[document.id] = document
        self._deleted.pop(document.id, None)
        self._change()

    def remove(self, id: str, version: int) -> None:
        self._deleted[id] = (version, time.monotonic())
        if self.documents.pop(id, None):
            self._change()

    def deleted_version(self, id: str, keep_seconds: float) -> int | None:
        """Of a document that was deleted a moment ago: its version goes on counting."""
        version, at = self._deleted.get(id, (None, 0.0))
        return version if time.monotonic() - at <= max(keep_seconds, CLOCK_SECONDS) else None

    def forget_deleted(self, keep_seconds: float) -> None:
        """As a refresh does; until then a longer `index.gc_deletes` brings a version back."""
        now, keep = time.monotonic(), max(keep_seconds, CLOCK_SECONDS)
        self._deleted = {id: found for id, found in self._deleted.items() if now - found[1] <= keep}

    def _change(self) -> None:
        if self._changed_at is None:
            self._changed_at = time.monotonic()

    def refresh(self, after_seconds: float = 0) -> None:
        """Show writes to searches, if the first of them was made so long ago."""
        if self._changed_at is not None and time.monotonic() - self._changed_at >= after_seconds:
            self._snapshot = Snapshot(list(self.documents.values()))
            self._changed_at = None

    @property
    def snapshot(self) -> Snapshot:
        """As of the last refresh."""
        return self._snapshot
