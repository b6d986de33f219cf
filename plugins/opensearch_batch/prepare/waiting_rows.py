"""Rows that wait on disk until it is known which texts have a vector: by the hashes of their texts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import orjson

from opensearch_batch.reuse.entries import HASH_BYTES
from opensearch_batch.sources.hashed import TEXT_HASH
from opensearch_batch.sources.included import twin_line
from opensearch_batch.sources.records import Record, Twin
from opensearch_batch.sources.rows import Place


class WaitingRows:
    """In an empty database; memory does not grow with them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, hash BLOB, record BLOB, fields BLOB)")

    def add(self, record: Record) -> None:
        _, fields = orjson.loads(record.fields)
        place = record.place
        kept = orjson.dumps([record.id, record.text, place.uri, place.number, place.unit])
        row = (bytes.fromhex(fields[TEXT_HASH]), kept, record.fields)
        self._db.execute("INSERT INTO rows (hash, record, fields) VALUES (?, ?, ?)", row)

    def hashes(self, most: int) -> Iterator[bytes]:
        """Yield the hashes of all texts, each once, sorted, at most so many end to end. Rows may be taken meanwhile."""
        self._db.execute("CREATE INDEX by_hash ON rows (hash)")
        query = "SELECT DISTINCT hash FROM rows WHERE hash > ? ORDER BY hash LIMIT ?"
        last = b""
        while True:
            found = bytearray()
            for (text_hash,) in self._db.execute(query, (last, most)):
                found += text_hash
            if not found:
                return
            yield bytes(found)
            last = bytes(found[-HASH_BYTES:])

    def has(self, text_hash: bytes) -> bool:
        return self._db.execute("SELECT 1 FROM rows WHERE hash = ?", (text_hash,)).fetchone() is not None

    def taken(self, text_hash: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
        """Take the rows of a text out: yield their ids and included fields. None where they are taken already."""
        for (fields,) in self._db.execute("SELECT fields FROM rows WHERE hash = ?", (text_hash,)):
            row_id, included = orjson.loads(fields)
            yield row_id, included
        self._db.execute("DELETE FROM rows WHERE hash = ?", (text_hash,))

    def rest(self) -> Iterator[Record]:
        """Yield the first row of each text, in the order of adding, with the text's other rows as its twins."""
        self._db.execute("CREATE TABLE firsts (number INTEGER PRIMARY KEY, twins INTEGER)")
        self._db.execute("INSERT INTO firsts SELECT min(number), count(*) - 1 FROM rows GROUP BY hash")
        query = "SELECT number, twins, hash, record, fields FROM firsts JOIN rows USING (number) ORDER BY number"
        for number, twins, text_hash, kept, fields in self._db.execute(query):
            row_id, text, uri, at, unit = orjson.loads(kept)
            others = _Twins(self._db, twins, row_id, (text_hash, number)) if twins else ()
            yield Record(row_id, text, Place(uri, at, unit), fields, others)


class _Twins:
    def __init__(self, db: sqlite3.Connection, count: int, first: str, after: tuple[bytes, int]) -> None:
        self._db, self._count, self._first, self._after = db, count, first, after

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Twin]:
        query = "SELECT fields FROM rows WHERE hash = ? AND number > ? ORDER BY number"
        for (line,) in self._db.execute(query, self._after):
            yield Twin(orjson.loads(line)[0], twin_line(line, self._first))
