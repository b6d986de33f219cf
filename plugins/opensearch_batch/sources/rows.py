"""Rows as a source has them: fields with their place, or a place and the reason why no row is read there."""

from __future__ import annotations

from typing import Any

import msgspec


class Place(msgspec.Struct, frozen=True, gc=False):
    """`number` counts from 1, in lines of a text file or in rows of any other source."""

    uri: str
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.uri} {self.unit} {self.number}"


class Row(msgspec.Struct, frozen=True):
    """No dataclass: every row makes a Row and a Place."""

    fields: dict[str, Any]
    place: Place


class BadRow(msgspec.Struct, frozen=True):
    """A row that cannot be sent. `id` is None where the row has no id of its own."""

    place: Place
    reason: str
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"
