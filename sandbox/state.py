"""What survives a kill: JSON documents by kind and id in one SQLite file, beside the uploaded and computed files."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, version INTEGER NOT NULL, seq_no INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY (kind, id));
CREATE INDEX IF NOT EXISTS by_age ON documents (kind, seq);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Stored:
    """One document; `seq` orders a kind by creation, `version` and `seq_no` count writes as OpenSearch does. Nobody
    changes the body but `update`: others read the same.
    """

    id: str
    body: dict[str, Any]
    seq: int
    version: int
    seq_no: int


class State:
    """Every method is one transaction and may be called from any thread.

    Durable against a killed process, not against a power cut: nothing waits for the disk. A kind that was listed once
    stays in memory, too: with thousands of jobs each list and each search would read all of them anew.
    """

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.work = folder / "work"
        for path in (self.files, self.work):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "state.sqlite", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)
        self._listed: dict[str, dict[str, Stored]] = {}
        """By kind and id, oldest first."""

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def put(self, kind: str, id: str, body: dict[str, Any]) -> Stored:
        """Create or replace."""
        with self._lock:
            old = self.get(kind, id)
            seq = old.seq if old else self._next(f"{kind}.seq")
            version, seq_no, content = (
                (old.version if old else 0) + 1,
                self._next(f"{kind}.seq_no") - 1,
                orjson.dumps(body),
            )
            self._db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)", (kind, id, seq, version, seq_no, content)
            )
            stored = _stored((id, content, seq, version, seq_no))
            if kind in self._listed:
                self._listed[kind][id] = stored
            return stored

    def get(self, kind: str, id: str) -> Stored | None:
        with self._lock:
            if kind in self._listed:
                return self._listed[kind].get(id)
            row = self._db.execute(
                "SELECT id, body, seq, version, seq_no FROM documents WHERE kind = ? AND id = ?", (kind, id)
            ).fetchone()
        return _stored(row) if row else None

    def all(self, kind: str) -> list[Stored]:
        """Oldest first."""
        with self._lock:
            if kind not in self._listed:
                rows = self._db.execute(
                    "SELECT id, body, seq, version, seq_no FROM documents WHERE kind = ? ORDER BY seq", (kind,)
                ).fetchall()
                self._listed[kind] = {row[0]: _stored(row) for row in rows}
            return list(self._listed[kind].values())

    def update(self, kind: str, id: str, change: Callable[[dict[str, Any]], None]) -> Stored | None:
        """Let `change` edit a copy of the body; nothing is written when it left it as it was. None if absent."""
        with self._lock:
            old = self.get(kind, id)
            if old is None:
                return None
            before = orjson.dumps(old.body)
            body = orjson.loads(before)
            change(body)
            return old if orjson.dumps(body) == before else self.put(kind, id, body)

    def delete(self, kind: str, id: str) -> Stored | None:
        """The document as it was, or None."""
        with self._lock:
            old = self.get(kind, id)
            self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, id))
            self._listed.get(kind, {}).pop(id, None)
            if old is not None:
                self._next(f"{kind}.seq_no")
            return old

    def ever_held(self, kind: str) -> bool:
        """Whether a document of this kind was ever written: OpenSearch creates an index with its first document."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM counters WHERE name = ?", (f"{kind}.seq",)).fetchone() is not None

    def clear(self, *kinds: str) -> None:
        """Forget these kinds, or with none named everything, files included."""
        with self._lock:
            if not kinds:
                self._listed.clear()
                self._db.execute("DELETE FROM documents")
                self._db.execute("DELETE FROM counters")
                for folder in (self.files, self.work):
                    for path in folder.iterdir():
                        path.unlink(missing_ok=True)
            for kind in kinds:
                self._listed.pop(kind, None)
                self._db.execute("DELETE FROM documents WHERE kind = ?", (kind,))

    def _next(self, counter: str) -> int:
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (counter,),
        ).fetchone()
        return int(row[0])


def _stored(row: tuple[str, bytes, int, int, int]) -> Stored:
    id_, body, seq, version, seq_no = row
    return Stored(id_, orjson.loads(body), seq, version, seq_no)
