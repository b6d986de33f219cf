"""Rows whose vector an earlier run has paid for: landed at once, and not sent.

All rows wait in a temporary database, with at most 8 MB in memory, until it is known which these are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.reuse.record import Entry, find, today
from opensearch_batch.reuse.vectors import vectors_of
from opensearch_batch.reuse_section import ReuseSection
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.sources.hashed import TEXT_HASH
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import Place
from opensearch_batch.temporary_database import temporary_database

PAID_DAY = "_paid_day"
"""Field of a copied result: the day on which its vector was paid for, counted from 1970."""


class Reuse:
    """`count` rows are answered with a vector of an earlier run; they lie in `out`, unless that is None (a dry run)."""

    def __init__(self, section: ReuseSection, out: JsonLines | None) -> None:
        self._section, self._out = section, out
        self.count = 0

    def keep(self) -> DataFile | None:
        """Complete the file; None without a row."""
        return self._out.commit() if self._out else None

    @property
    def oldest_day(self) -> int:
        return oldest_day(self._section)

    def others(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records to send, in their order."""
        with temporary_database() as db:
            waiting = _Waiting(db)
            for record in records:
                waiting.add(record)
            waiting.expect(find(self._section.uri, waiting.hashes(), oldest_day=self.oldest_day))
            for entries in (waiting.newest(), waiting.others()):
                for entry, vector in vectors_of(entries):
                    for row_id, fields in waiting.taken(entry.hash):
                        self._land(row_id, fields, entry, vector)
            yield from waiting.rest()

    def _land(self, row_id: str, fields: dict[str, object], entry: Entry, vector: bytes) -> None:
        self.count += 1
        if self._out:
            self._out.add_line({"id": row_id, **fields, PAID_DAY: entry.day, "embedding": orjson.Fragment(vector)})


def oldest_day(section: ReuseSection) -> int:
    return 0 if section.max_age_days is None else today() - section.max_age_days


class _Waiting:
    """Records by the hashes of their texts, in an empty database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, hash BLOB, record BLOB, fields BLOB)")
        self._db.execute("CREATE TABLE entries (hash BLOB, uri TEXT, place INTEGER, length INTEGER, day INTEGER)")

    def add(self, record: Record) -> None:
        _, fields = orjson.loads(record.fields)
        place = record.place
        kept = orjson.dumps([record.id, record.text, place.uri, place.number, place.unit])
        row = (bytes.fromhex(fields[TEXT_HASH]), kept, record.fields)
        self._db.execute("INSERT INTO rows (hash, record, fields) VALUES (?, ?, ?)", row)

    def hashes(self) -> bytes:
        """All, sorted, each once."""
        self._db.execute("CREATE INDEX by_hash ON rows (hash)")
        return b"".join(row[0] for row in self._db.execute("SELECT DISTINCT hash FROM rows ORDER BY hash"))

    def expect(self, entries: Iterable[Entry]) -> None:
        self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", entries)

    def newest(self) -> Iterator[Entry]:
        """The newest entry of each hash, by file and offset."""
        query = "SELECT hash, uri, place, length, max(day) FROM entries GROUP BY hash ORDER BY uri, place"
        return map(Entry._make, self._db.execute(query))

    def others(self) -> Iterator[Entry]:
        """All entries of the rows that still wait, by file and offset."""
        query = "SELECT * FROM entries WHERE hash IN (SELECT hash FROM rows) ORDER BY uri, place"
        return map(Entry._make, self._db.execute(query).fetchall())

    def taken(self, text_hash: bytes) -> list[tuple[str, dict[str, object]]]:
        """Take the rows of a text out; return their ids and included fields. Empty where they are taken already."""
        found = self._db.execute("SELECT fields FROM rows WHERE hash = ?", (text_hash,)).fetchall()
        self._db.execute("DELETE FROM rows WHERE hash = ?", (text_hash,))
        return [orjson.loads(fields) for (fields,) in found]

    def rest(self) -> Iterator[Record]:
        for kept, fields in self._db.execute("SELECT record, fields FROM rows ORDER BY number"):
            row_id, text, uri, number, unit = orjson.loads(kept)
            yield Record(row_id, text, Place(uri, number, unit), fields)
