"""Row fields: the included fields of a shard's rows by id, looked up while answers come in any order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

from opensearch_batch.flow.shards import Shard
from opensearch_batch.storage import open_binary
from opensearch_batch.temporary_database import temporary_database

FieldsOf = Callable[[str], Mapping[str, Any]]
"""From a row's id to its fields."""


@contextmanager
def row_fields(shard: Shard | None) -> Generator[FieldsOf, None, None]:
    """Keep the fields in a temporary database with at most 8 MB in memory; a shard may have none."""
    if shard is None or not shard.fields_uri:
        yield lambda row_id: {}
        return
    with temporary_database() as db:
        with open_binary(shard.fields_uri) as lines:
            _fill(db, lines)
        yield lambda row_id: _fields(db, row_id)


def _fill(db: sqlite3.Connection, lines: Iterable[bytes]) -> None:
    db.execute("CREATE TABLE fields (id TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
    db.executemany("INSERT INTO fields VALUES (?, ?)", ((orjson.loads(line)[0], line) for line in lines))


def _fields(db: sqlite3.Connection, row_id: str) -> dict[str, Any]:
    (line,) = db.execute("SELECT line FROM fields WHERE id = ?", (row_id,)).fetchone()
    _, fields = orjson.loads(line)
    return dict(fields)
