"""Records: the rows of the input, checked one by one; a wrong row is named by its place and the reason."""

from __future__ import annotations

import reprlib
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from string import Formatter
from typing import Any, Protocol
from uuid import UUID

import msgspec

from opensearch_batch.sources.included import IncludedFields
from opensearch_batch.sources.rows import BadRow, Place, Row
from opensearch_batch.sources.templates import Template, UnfilledTemplate
from opensearch_batch.temporary_database import temporary_database


class Twin(msgspec.Struct, frozen=True):
    """A row with the text of an earlier row: only the earlier one is sent, and both get its answer. `fields` is the
    line in the file of included fields.
    """

    id: str
    fields: bytes


class Twins(Protocol):
    """The twins of a row, read from disk each time: a text may stand in any number of rows."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Twin]: ...


@dataclass(frozen=True)
class Record:
    """A checked row: `text` is the model's input, with the prompt filled in; `place` is where the row came from.
    `fields` is the row's line in the file of included fields, `images` the URLs of the images beside the text.
    """

    id: str
    text: str
    place: Place
    fields: bytes = b""
    twins: Twins = ()
    images: tuple[str, ...] = ()


class WrongRow(Exception):
    """Why a row cannot be sent."""


ImagesOf = Callable[[Mapping[str, Any]], tuple[str, ...]]
"""From a row's fields to the URLs of its images; raises WrongRow."""


def read_records(
    rows: Iterable[Row | BadRow],
    *,
    id_field: str,
    text_field: str,
    prompt: str | Template | None = None,
    included: IncludedFields | None = None,
    images_of: ImagesOf | None = None,
) -> Generator[Record | BadRow, None, None]:
    """Yield a Record for each row, in order; a BadRow for a row without id, text or, with `images_of`, an image, and
    for a row with a repeated id.

    Ids are compared over the whole input in a database on disk, so memory does not grow with the input.
    """

    def made(row: Row, row_id: str) -> Record:
        text = text_of(row.fields, text_field, prompt)
        images = images_of(row.fields) if images_of else ()
        line = _included(row, row_id, included) if included else b""
        return Record(row_id, text, row.place, line, images=images)

    with temporary_database() as db:
        seen = SeenIds(db)
        for row in rows:
            yield row if isinstance(row, BadRow) else _checked(row, seen, id_field, made)


def _checked(row: Row, seen: SeenIds, id_field: str, made: Callable[[Row, str], Record]) -> Record | BadRow:
    row_id = None
    try:
        named = _id(row.fields, id_field)
        if first := seen.add(named, row.place):
            raise WrongRow(f"id {named!r} was already used at {first}; ids must be unique in a run")
        row_id = named
        return made(row, row_id)
    except WrongRow as wrong:
        return BadRow(row.place, str(wrong), row_id)


class SeenIds:
    """Ids seen so far, in an empty database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, uri INTEGER, number INTEGER) WITHOUT ROWID")
        self._uris: dict[str, int] = {}

    def add(self, record_id: str, place: Place) -> Place | None:
        """Add an id; return the first place with the same id, or None for a new id."""
        uri = self._uris.setdefault(place.uri, len(self._uris))
        try:
            self._db.execute("INSERT INTO seen VALUES (?, ?, ?)", (record_id, uri, place.number))
        except sqlite3.IntegrityError:
            uri, number = self._db.execute("SELECT uri, number FROM seen WHERE id = ?", (record_id,)).fetchone()
            return Place(list(self._uris)[uri], number, place.unit)
        return None


def _id(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if isinstance(value, str) and "\0" in value:
        raise WrongRow(f"the id in {field!r} has a NUL, which no database of Airflow's takes")
    if isinstance(value, str | int | UUID) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))  # whole numbers of databases that have one type of number
    what = "has no" if field not in row else f"has {reprlib.repr(value)[:80]} as"
    raise WrongRow(f"the row {what} {field!r}; an id is text or a whole number")


def text_of(row: Mapping[str, Any], field: str, prompt: str | Template | None) -> str:
    """Return the text to send. Raise WrongRow where there is none."""
    value = row.get(field) if prompt is None else filled(prompt, row)
    if not isinstance(value, str):
        have = f"it has {', '.join(sorted(row))}" if field not in row else f"it is {type(value).__name__}"
        raise WrongRow(f"the row has no text in {field!r} ({have})")
    if not value.strip():
        named = f"in {field!r}" if prompt is None else "of the prompt"
        raise WrongRow(f"the text {named} is empty; the provider would refuse it")
    return value


def _included(row: Row, row_id: str, included: IncludedFields) -> bytes:
    try:
        return included.line(row_id, row.fields)
    except TypeError as error:
        raise WrongRow(f"output.include: a field cannot go into a result: {error}") from None


class _NullIsEmpty(Formatter):
    """Fills in an empty text for null, as CSV and the documents of an index have it: Python writes the word None."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value, first = super().get_field(field_name, args, kwargs)
        return "" if value is None else value, first


NULL_IS_EMPTY = _NullIsEmpty()


def filled(prompt: str | Template, row: Mapping[str, Any], name: str = "the prompt") -> str:
    """Return a template filled in with a row's fields; `name` is what the template makes. Raise WrongRow."""
    try:
        return NULL_IS_EMPTY.vformat(prompt, (), row) if isinstance(prompt, str) else prompt.filled(row)
    except UnfilledTemplate as error:
        raise WrongRow(f"the template: {error}; the row has {', '.join(sorted(row))}") from None
    except RecursionError:
        raise WrongRow(f"a field of {name} is nested too deeply to be written") from None
    except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise WrongRow(f"{name} asks for {error}, the row has {', '.join(sorted(row))}") from None
