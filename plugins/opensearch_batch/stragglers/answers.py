"""Answers: what is known of the open rows. Vectors and lines are kept in blocks in the run's folder, so that no later
try pays for them again; refusals are of this try alone.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import orjson

from opensearch_batch.cluster.online import PLACEHOLDER
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.reading import decoder
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import names_in, open_binary, write_object
from opensearch_batch.stragglers.open_rows import OpenRow, rows_of
from opensearch_batch.stragglers.questions import Found

BLOCK = "online-"
"""Begin of a block's name, in the run's folder: no preparation of the run removes it."""

REFUSED, UNASKABLE = "refused_online", "not_askable_online"
"""Codes of rows that were asked and refused, and of those with a placeholder of the cluster's in what is asked."""


class Answers:
    """`folder` is the run's. Of answers to the same question the first counts."""

    def __init__(self, db: sqlite3.Connection, folder: str, provider: Provider) -> None:
        self._db, self._folder, self._reader = db, folder, Reader(provider)
        columns = "id TEXT, asked TEXT, kind TEXT, kept BLOB"
        db.execute(f"CREATE TABLE given ({columns}, PRIMARY KEY (id, asked)) WITHOUT ROWID")
        db.execute("CREATE TABLE reasons (id TEXT PRIMARY KEY, code TEXT, message TEXT) WITHOUT ROWID")

    def load(self) -> None:
        """Read the blocks of earlier tries."""
        for name in sorted(names_in(self._folder)):
            if name.startswith(BLOCK) and name.endswith(".jsonl"):
                with open_binary(f"{self._folder}/{name}") as lines:
                    self._insert(map(_read_given, lines))

    def explain(self, sources: Iterable[str]) -> None:
        """Read why batches have not answered the rows, from files of rows that were handed on."""
        for uri in sources:
            with open_binary(uri) as lines:
                for line in lines:
                    said = orjson.loads(line)
                    self._because(said["id"], said["code"], said["message"])

    def has(self, row: OpenRow) -> bool:
        """Whether the row has been paid for."""
        return self._given(row) is not None

    def answer_to(self, row: OpenRow) -> Answer | None:
        """Return what was kept of the row, as it lands before the check of an output schema."""
        return self._reader.read_line(self._line(row)) if self.has(row) else None

    def keep(self, block: Sequence[tuple[OpenRow, Found]]) -> None:
        """Write what is kept of a block, whole or not at all, and note the refusals."""
        given = [_Given(row.id, row.asked, found.kind, found.kept) for row, found in block if found.kept is not None]
        if given:
            content = b"".join(map(_line_of, given))
            write_object(f"{self._folder}/{BLOCK}{hashlib.sha256(content).hexdigest()[:16]}.jsonl", content)
            self._insert(given)
        for row, found in block:
            if found.kept is None:
                self._because(row.id, REFUSED, found.why_not)

    def refuse_placeholders(self, row: OpenRow) -> None:
        """Note why the row is not asked, beside the reason of its batch."""
        code, message = self._reason(row.id)
        what = "text" if PLACEHOLDER in row.text else "system prompt, schema or parameters"
        why = f"its {what} has {PLACEHOLDER}, which the cluster would take for a placeholder of its own"
        if code != UNASKABLE:
            self._because(row.id, UNASKABLE, f"{why}; before: {code}: {message}")

    def lines(self, shard: Shard, spec: BatchSpec) -> Iterator[bytes]:
        """Yield a line for each row of the shard, for Reader: what was kept, or why nothing was."""
        return map(self._line, rows_of(shard, spec))

    def code_of(self, row: OpenRow) -> str:
        """Why the row has no answer."""
        return self._reason(row.id)[0]

    def _line(self, row: OpenRow) -> bytes:
        line = {"id": row.request, "position": row.position}
        if given := self._given(row):
            kind, kept = given
            return orjson.dumps({**line, kind: orjson.Fragment(kept)})
        code, message = self._reason(row.id)
        return orjson.dumps({**line, "code": code, "message": message})

    def _given(self, row: OpenRow) -> tuple[str, bytes] | None:
        query = "SELECT kind, kept FROM given WHERE id = ? AND asked = ?"
        found: tuple[str, bytes] | None = self._db.execute(query, (row.id, row.asked)).fetchone()
        return found

    def _reason(self, row_id: str) -> tuple[str, str]:
        found = self._db.execute("SELECT code, message FROM reasons WHERE id = ?", (row_id,)).fetchone()
        return found or ("not_answered", "no batch has answered this row, and it was not asked online")

    def _because(self, row_id: str, code: str, message: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO reasons VALUES (?, ?, ?)", (row_id, code, message))

    def _insert(self, given: Iterable[_Given]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO given VALUES (?, ?, ?, ?)", given)


class _Given(NamedTuple):
    """`kept` is JSON text."""

    id: str
    asked: str
    kind: str
    kept: bytes


class _Kept(msgspec.Struct):
    """A line of a block: a vector or a vendor's line."""

    id: str
    asked: str
    vector: msgspec.Raw = msgspec.Raw()
    line: msgspec.Raw = msgspec.Raw()


_decode_kept = decoder(_Kept)


def _read_given(line: bytes) -> _Given:
    kept = _decode_kept(line)
    vector = bytes(kept.vector)
    return _Given(kept.id, kept.asked, "vector" if vector else "line", vector or bytes(kept.line))


def _line_of(given: _Given) -> bytes:
    line = {"id": given.id, "asked": given.asked, given.kind: orjson.Fragment(given.kept)}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class _Line(msgspec.Struct):
    id: str
    position: int | None = None
    vector: msgspec.Raw = msgspec.Raw()
    line: msgspec.Raw = msgspec.Raw()
    code: str = ""
    message: str = ""


_decode_line = decoder(_Line)


class Reader:
    """Reads the lines of `Answers.lines` for land/reconcile.py; a vendor's line in them as one of a batch."""

    NAME = "online"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def read_line(self, raw: bytes) -> Answer:
        line = _decode_line(raw)
        if told := bytes(line.line):
            return msgspec.structs.replace(self._provider.read_line(told), id=line.id, position=line.position)
        vector = bytes(line.vector) or None
        return Answer(line.id, vector=vector, code=line.code, message=line.message, position=line.position)

    def read_many(self, raw: bytes) -> Iterator[Answer | None]:
        yield self.read_line(raw)
