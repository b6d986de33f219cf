"""Included fields: what a row's result has of the row, as a line of JSON, and the type of each field over all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import orjson

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import FieldType

WHOLE = range(-(1 << 63), 1 << 63)
"""Numbers that a column of whole numbers holds."""


class IncludedFields:
    """The fields `names` of the rows seen so far: their types, and whether any row has them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._types: dict[str, set[FieldType]] = {name: set() for name in names}
        self._inexact: set[str] = set()
        self._seen: set[str] = set()
        self._others: set[str] = set()

    def line(self, row_id: str, row: Mapping[str, Any]) -> bytes:
        """Return [id, fields]; null for a field that the row does not have. Raise TypeError for a value that JSON does
        not have.
        """
        fields = {name: row.get(name) for name in self._names}
        line = orjson.dumps([row_id, fields], default=_as_text, option=orjson.OPT_APPEND_NEWLINE)
        for name, value in fields.items():
            if value is not None:
                self._types[name].add(_type_of(value))
                if isinstance(value, int) and int(float(value)) != value:
                    self._inexact.add(name)
        if len(self._seen) < len(self._names):
            self._seen.update(row.keys() & self._types.keys())
            self._others = self._others or set(row)
        return line

    def types(self) -> dict[str, FieldType]:
        """Return the type of each field. Raise InputError for a field that no row has."""
        if self._others and (never := [name for name in self._names if name not in self._seen]):
            raise InputError(
                f"output.include: no row has {', '.join(map(repr, never))}; the first has "
                f"{', '.join(map(repr, sorted(self._others)))}"
            )
        return {name: _common(types, is_inexact=name in self._inexact) for name, types in self._types.items()}


def twin_line(line: bytes, first: str) -> bytes:
    """Return the line of a row's twin: [id, fields, id of the row that is sent]."""
    return b"%b,%b]\n" % (line.rstrip()[:-1], orjson.dumps(first))


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):  # of pandas or a driver: orjson knows only Python's own
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(msgspec.to_builtins(value))
    raise TypeError(f"{type(value).__name__} is no JSON")


def _type_of(value: Any) -> FieldType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if value in WHOLE else "json"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str | date | time | timedelta | Decimal | UUID) else "json"


def _common(types: set[FieldType], *, is_inexact: bool) -> FieldType:
    """`is_inexact`: a whole number among them is another in double precision, which columns of numbers have."""
    if types == {"integer", "number"} and not is_inexact:
        return "number"
    return types.copy().pop() if len(types) == 1 else "json" if types else "text"
