"""Records: the rows of the input, read and checked row by row; a wrong row is named by file and line."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson

from opensearch_batch.errors import InputError
from opensearch_batch.storage import SourceLine


@dataclass(frozen=True)
class Record:
    """A checked row: `text` is the model's input, with the prompt filled in; `line` is the source of the row."""

    id: str
    text: str
    line: SourceLine


def read_records(
    lines: Iterable[SourceLine], *, id_field: str, text_field: str, prompt: str | None = None
) -> Generator[Record, None, None]:
    """Yield a Record per line, blank lines passed over. Raise InputError at the first row without JSON, id or text, and
    at the first row with a repeated id.

    Ids are compared over the whole input in a database on disk, so memory does not grow with the input.
    """
    with SeenIds() as seen:
        for line in lines:
            if not line.raw.strip():
                continue
            row = _parse(line)
            record_id = _id(row, id_field, line)
            if first := seen.add(record_id, line):
                raise InputError(f"{line}: id {record_id!r} was already used at {first}; ids must be unique in a run")
            yield Record(record_id, _text(row, text_field, prompt, line), line)


class SeenIds:
    """Ids seen so far, in a temporary database with at most 8 MB in memory."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="opensearch-batch-")
        self._db = sqlite3.connect(f"{self._folder.name}/ids", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;")
        self._db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, uri INTEGER, number INTEGER) WITHOUT ROWID")
        self._uris: dict[str, int] = {}
        self._db.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        self._folder.cleanup()

    def add(self, record_id: str, line: SourceLine) -> str | None:
        """Add an id; return the first line with the same id as "URI line N", or None for a new id."""
        uri = self._uris.setdefault(line.uri, len(self._uris))
        try:
            self._db.execute("INSERT INTO seen VALUES (?, ?, ?)", (record_id, uri, line.number))
        except sqlite3.IntegrityError:
            uri, number = self._db.execute("SELECT uri, number FROM seen WHERE id = ?", (record_id,)).fetchone()
            return str(SourceLine(b"", list(self._uris)[uri], number))
        return None


def _parse(line: SourceLine) -> dict[str, Any]:
    try:
        row = orjson.loads(line.raw)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{line}: {_why_not_json(line.raw, error)}") from None
    if not isinstance(row, dict):
        raise InputError(f"{line}: a row must be a JSON object, not {type(row).__name__}")
    return row


def _why_not_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start}: 0x{raw[wrong.start]:02x}); convert the file, e.g. with iconv"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "starts with a byte order mark; save the file as UTF-8 without one"
    return f"not JSON: {error.msg} (column {error.colno})"


def _id(row: dict[str, Any], field: str, line: SourceLine) -> str:
    value = row.get(field)
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    what = "has no" if field not in row else f"has {value!r} as"
    raise InputError(f"{line}: the row {what} {field!r}; an id is text or a whole number")


def _text(row: dict[str, Any], field: str, prompt: str | None, line: SourceLine) -> str:
    value: Any
    if prompt is not None:
        try:
            value = prompt.format_map(row)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise InputError(f"{line}: the prompt asks for {error}, the row has {', '.join(sorted(row))}") from None
    else:
        value = row.get(field)
    if not isinstance(value, str):
        have = f"it has {', '.join(sorted(row))}" if field not in row else f"it is {type(value).__name__}"
        raise InputError(f"{line}: the row has no text in {field!r} ({have})")
    if not value.strip():
        raise InputError(
            f"{line}: the text {'of the prompt' if prompt else f'in {field!r}'} is empty; the provider would refuse it"
        )
    return value
