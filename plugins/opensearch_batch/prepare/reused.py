"""Rows whose vector is paid for: by an earlier run, then they land at once; or by another row of this run with the same
text, whose twins they are. Only what is left is sent. All rows wait on disk until it is known which these are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import orjson

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.prepare.waiting_rows import WaitingRows
from opensearch_batch.reuse.entries import today
from opensearch_batch.reuse.record import ASKED_AT_ONCE, find
from opensearch_batch.reuse.vectors import vectors_of
from opensearch_batch.reuse.whose import looking_once
from opensearch_batch.reuse_section import ReuseSection
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.sources.records import Record

PAID_DAY = "_paid_day"
"""Field of a copied result: the day on which its vector was paid for, counted from 1970."""


class Reuse:
    """`count` rows are answered with a vector of an earlier run; they lie in `out`, unless that is None (a dry run).
    `db` is an empty database, which the twins of the other rows are read from.

    What the run of `run_key` itself has paid for is sent, whoever has copied it since: prepared again, the run makes
    the same shards, whose jobs are found.
    """

    def __init__(self, section: ReuseSection, db: sqlite3.Connection, out: JsonLines | None, run_key: str) -> None:
        self._section, self._waiting, self._out, self._run_key = section, WaitingRows(db), out, run_key
        self.count = 0

    def keep(self) -> DataFile | None:
        """Complete the file; None without a row."""
        return self._out.commit() if self._out else None

    def others(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records to send, in their order, each text once."""
        is_there = looking_once()
        for record in records:
            self._waiting.add(record)
        for asked in self._waiting.hashes(ASKED_AT_ONCE):
            for entries in find(
                self._section.uri,
                asked,
                oldest_day=_oldest_day(self._section),
                but_of=self._run_key,
                is_there=is_there,
            ):
                for paid in vectors_of(entries, self._waiting.has):
                    line = {PAID_DAY: paid.day, "embedding": orjson.Fragment(paid.vector)}
                    for row_id, fields in self._waiting.taken(paid.text_hash):
                        self.count += 1
                        if self._out:
                            self._out.add_line({"id": row_id, **fields, **line})
        yield from self._waiting.rest()


def _oldest_day(section: ReuseSection) -> int:
    return 0 if section.max_age_days is None else today() - section.max_age_days
