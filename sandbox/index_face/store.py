"""Indices and documents on disk: one SQLite file in the sandbox's folder, made with the first index."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.index_face.documents import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS indices (uuid TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS shards (uuid TEXT NOT NULL, shard INTEGER NOT NULL, next_seq INTEGER NOT NULL,
  PRIMARY KEY (uuid, shard));
CREATE TABLE IF NOT EXISTS documents (uuid TEXT NOT NULL, shard INTEGER NOT NULL, id TEXT NOT NULL, routing TEXT,
  seq_no INTEGER NOT NULL, term INTEGER NOT NULL, version INTEGER NOT NULL, source BLOB, indexed BLOB, skipped BLOB,
  PRIMARY KEY (uuid, shard, id));
"""
WRITE = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Store:
    """Durable against a killed process, not against a power cut. Its caller sees to it that one thread is in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def forget(self) -> None:
        self.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def indices(self) -> list[tuple[str, dict[str, Any]]]:
        if not self._path.exists():
            return []
        rows = self._opened().execute("SELECT uuid, body FROM indices ORDER BY rowid").fetchall()
        return [(uuid, orjson.loads(body)) for uuid, body in rows]

    def next_seq_nos(self, uuid: str) -> dict[int, int]:
        return dict(self._opened().execute("SELECT shard, next_seq FROM shards WHERE uuid = ?", (uuid,)).fetchall())

    def documents(self, uuid: str) -> Iterator[tuple[int, Document]]:
        """With their shard, in the order of seq_no."""
        names = "shard, id, routing, seq_no, term, version, source, indexed, skipped"
        rows = self._opened().execute(f"SELECT {names} FROM documents WHERE uuid = ? ORDER BY seq_no", (uuid,))
        for shard, id_, routing, seq_no, term, version, source, indexed, skipped in rows:
            hidden = frozenset(orjson.loads(skipped)) if skipped else frozenset[str]()
            whole = source if indexed is None else indexed
            yield shard, Document(id_, routing, seq_no, term, version, source, whole, hidden)

    def save(self, uuid: str, body: dict[str, Any]) -> None:
        sql = "INSERT INTO indices VALUES (?, ?) ON CONFLICT (uuid) DO UPDATE SET body = excluded.body"
        self._opened().execute(sql, (uuid, orjson.dumps(body)))

    def delete(self, uuid: str) -> None:
        for table in ("indices", "shards", "documents"):
            self._opened().execute(f"DELETE FROM {table} WHERE uuid = ?", (uuid,))

    def write(self, uuid: str, changes: Iterable[tuple[int, str, Document | None]], next_seq: dict[int, int]) -> None:
        """In one transaction: documents by shard and id (None: deleted), and what the shards count to."""
        db = self._opened()
        db.execute("BEGIN")
        last = {(shard, id_): document for shard, id_, document in changes}
        gone = [(uuid, shard, id_) for (shard, id_), document in last.items() if document is None]
        db.executemany("DELETE FROM documents WHERE uuid = ? AND shard = ? AND id = ?", gone)
        db.executemany(WRITE, [_row(uuid, shard, document) for (shard, _), document in last.items() if document])
        for shard, value in next_seq.items():
            db.execute("INSERT OR REPLACE INTO shards VALUES (?, ?, ?)", (uuid, shard, value))
        db.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.executescript(SCHEMA)
        return self._db


def _row(uuid: str, shard: int, document: Document) -> tuple[Any, ...]:
    skipped = orjson.dumps(sorted(document.skipped)) if document.skipped else None
    indexed = None if document.indexed is document.source else document.indexed
    head = (uuid, shard, document.id, document.routing, document.seq_no, document.term, document.version)
    return (*head, document.source, indexed, skipped)
