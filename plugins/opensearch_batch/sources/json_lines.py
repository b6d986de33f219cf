"""JSON Lines: a JSON object a line, blank lines passed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from opensearch_batch.sources.rows import BadRow, Place, Row
from opensearch_batch.storage import SourceLine


def json_rows(lines: Iterable[SourceLine]) -> Iterator[Row | BadRow]:
    for line in lines:
        if line.raw.strip():
            yield _row(line.raw, Place(line.uri, line.number))


def _row(raw: bytes, place: Place) -> Row | BadRow:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return BadRow(place, _why_not_json(raw, error))
    if not isinstance(fields, dict):
        return BadRow(place, f"a row must be a JSON object, not {type(fields).__name__}")
    return Row(fields, place)


def _why_not_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start}: 0x{raw[wrong.start]:02x}); convert the file, e.g. with iconv"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "starts with a byte order mark; save the file as UTF-8 without one"
    hint = "" if raw.lstrip()[:1] in b"{[" else "; for CSV or Parquet say input.format"
    return f"not JSON: {error.msg} (column {error.colno}){hint}"
