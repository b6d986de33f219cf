"""Row fields: the included fields of shards' rows by id, and each row's twins, looked up while answers come in any
order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from opensearch_batch.flow.shards import Shard
from opensearch_batch.sources.records import Twin, Twins
from opensearch_batch.storage import open_binary
from opensearch_batch.temporary_database import temporary_database


class RowFields:
    """Rows without included fields have none, and no twins."""

    def __init__(self, db: sqlite3.Connection | None) -> None:
        self._db = db

    def of(self, row_id: str) -> Mapping[str, Any]:
        line = self.line(row_id)
        return orjson.loads(line)[1] if line else {}

    def line(self, row_id: str) -> bytes:
        """The row's line in the file of included fields; b"" without one."""
        found = self._db and self._db.execute("SELECT line FROM fields WHERE id = ?", (row_id,)).fetchone()
        return found[0] if found else b""

    def twins(self, row_id: str) -> Twins:
        return _Twins(self._db, row_id) if self._db else ()


class _Twins:
    def __init__(self, db: sqlite3.Connection, first: str) -> None:
        self._db, self._first = db, first

    def __len__(self) -> int:
        return int(self._select("count(*)").fetchone()[0])

    def __iter__(self) -> Iterator[Twin]:
        return (Twin(row_id, line) for row_id, line in self._select("id, line"))

    def _select(self, what: str) -> sqlite3.Cursor:
        return self._db.execute(f"SELECT {what} FROM fields WHERE twin_of = ?", (self._first,))


@contextmanager
def row_fields(shards: Sequence[Shard]) -> Generator[RowFields, None, None]:
    """Keep the fields in a temporary database with at most 8 MB in memory; a shard may have none."""
    uris = [shard.fields_uri for shard in shards if shard.fields_uri]
    if not uris:
        yield RowFields(None)
        return
    with temporary_database() as db:
        db.execute("CREATE TABLE fields (id TEXT PRIMARY KEY, line BLOB, twin_of TEXT) WITHOUT ROWID")
        for uri in uris:
            with open_binary(uri) as lines:
                db.executemany("INSERT INTO fields VALUES (?, ?, ?)", _rows(lines))
        db.execute("CREATE INDEX by_first ON fields (twin_of) WHERE twin_of IS NOT NULL")
        yield RowFields(db)


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
    """A twin's line names a third value: the row that is sent."""
    for line in lines:
        row_id, _, *first = orjson.loads(line)
        yield row_id, line, first[0] if first else None
