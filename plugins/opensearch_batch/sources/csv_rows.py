"""CSV with a header line: a row a record, every value a text. A record may go over several lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from opensearch_batch.errors import InputError
from opensearch_batch.sources.columns import refuse_missing
from opensearch_batch.sources.rows import BadRow, Place, Row
from opensearch_batch.storage import SourceLine

FIELD_CHARACTERS = 16 << 20
"""A quote that is never closed makes one field of the rest of the file; memory holds so much of it."""

BYTE_ORDER_MARK = "\ufeff"


def csv_rows(lines: Iterable[SourceLine], name: str, delimiter: str, wanted: Sequence[str]) -> Iterator[Row | BadRow]:
    """Yield the rows after the header. Raise InputError for a header that is not UTF-8 or lacks a wanted column."""
    csv.field_size_limit(FIELD_CHARACTERS)  # for the whole process, whose default of 131,072 is short for a text
    reader = csv.reader(_decoded(lines), delimiter=delimiter, strict=True)
    header = _header(reader, name)
    if header is None:
        return
    refuse_missing(f"{name}: the header", header, wanted, ", or input.delimiter")
    while True:
        place = Place(name, reader.line_num + 1)
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(place, f"not CSV: {error}")
            continue
        if cells:
            yield _row(cells, header, place)


def _header(reader: Iterator[list[str]], name: str) -> list[str] | None:
    """None for an empty file."""
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise InputError(f"{name} line 1: not CSV: {error}") from error
    if header and not _is_utf8("".join(header)):
        raise InputError(f"{name}: the header is not UTF-8; convert the file, e.g. with iconv")
    return header


def _row(cells: list[str], header: list[str], place: Place) -> Row | BadRow:
    if len(cells) != len(header):
        return BadRow(place, f"{len(cells)} fields, the header has {len(header)}")
    if not all(cell.isascii() or _is_utf8(cell) for cell in cells):
        return BadRow(place, "not UTF-8; convert the file, e.g. with iconv")
    return Row(dict(zip(header, cells, strict=True)), place)


def _decoded(lines: Iterable[SourceLine]) -> Iterator[str]:
    """Bytes that are not UTF-8 become surrogates, so that they are known again in their row."""
    for line in lines:
        text = line.raw.decode("utf-8", "surrogateescape")
        yield text.removeprefix(BYTE_ORDER_MARK) if line.number == 1 else text


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
