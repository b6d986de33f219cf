"""What a field of a document holds, as queries and sorts compare it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy

from sandbox.index_face.mappings import BROKEN, DATES, WHOLE
from sandbox.index_face.times import parsed_time

if TYPE_CHECKING:
    from sandbox.index_face.documents import Document
    from sandbox.index_face.mappings import Fields

NUMBERS = WHOLE | BROKEN
TOKENS = re.compile(r"\w+")


class View:
    """A document under the eyes of a query: read once, at the latest moment. `place` is its number in its shard,
    `offset` that of a nested object in its document.
    """

    __slots__ = ("_value", "document", "offset", "place")

    def __init__(
        self, document: Document, place: int, value: dict[str, Any] | None = None, offset: int | None = None
    ) -> None:
        self.document, self.place, self._value, self.offset = document, place, value, offset

    @property
    def value(self) -> dict[str, Any]:
        if self._value is None:
            self._value = self.document.read()
        return self._value

    def forget(self) -> None:
        """Keep the document, not what was read of it: a search may hold very many."""
        self._value = None

    def objects_at(self, path: str) -> list[View]:
        """Its nested objects, for the query inside a nested query."""
        return [self._below(path, value, offset) for offset, value in enumerate(objects_at(self.value, path))]

    def _below(self, path: str, value: dict[str, Any], offset: int) -> View:
        for part in reversed(path.split(".")):
            value = {part: value}
        return View(self.document, self.place, value, offset)


def at(value: Any, path: str) -> list[Any]:
    """All that lies at a path, through lists of objects and dotted names; lists of values as they are."""
    if isinstance(value, list):
        return [found for item in value for found in at(item, path)]
    if not isinstance(value, dict):
        return []
    found = [value[path]] if path in value else []
    position = path.find(".")
    while position > 0:
        head = path[:position]
        if head in value:
            found += at(value[head], path[position + 1 :])
        position = path.find(".", position + 1)
    return found


def objects_at(value: Any, path: str) -> list[dict[str, Any]]:
    found = (each for item in at(value, path) for each in (item if isinstance(item, list) else [item]))
    return [each for each in found if isinstance(each, dict)]


def scalars(found: list[Any]) -> list[Any]:
    made: list[Any] = []
    for item in found:
        if isinstance(item, list):
            made += scalars(item)
        elif item is not None and not isinstance(item, dict):
            made.append(item)
    return made


def comparable(value: Any, kind: str) -> Any:
    """A value of this type as numbers or text; None for one that cannot be."""
    if kind in NUMBERS:
        try:
            return int(value) if isinstance(value, int) else float(value)
        except (TypeError, ValueError):
            return None
    if kind in DATES:
        return parsed_time(value)
    if kind == "boolean":
        return str(value).lower() == "true"
    return str(value).lower() if isinstance(value, bool) else str(value)


def tokens(text: str) -> list[str]:
    return TOKENS.findall(text.lower())


def terms(view: View, path: str, fields: Fields) -> list[Any]:
    """What the index holds for the field: tokens of a text, values of all else; nothing for what is not mapped."""
    field = fields.types.get(path)
    if field is None or path in view.document.skipped:
        return []
    kind = field["type"]
    found = scalars(at(view.value, fields.of.get(path, path)))
    if kind in ("text", "match_only_text"):
        return [token for item in found for token in tokens(str(item))]
    if limit := field.get("ignore_above"):
        found = [item for item in found if len(str(item)) <= int(limit)]
    return [made for item in found if (made := comparable(item, kind)) is not None]


def holds_any(view: View, path: str, fields: Fields) -> bool:
    field = fields.types.get(path)
    if field is None:
        below = f"{path}."
        return any(holds_any(view, name, fields) for name in fields.types if name.startswith(below))
    if field["type"] == "knn_vector":
        return any(item is not None for item in at(view.value, path)) and path not in view.document.skipped
    return bool(terms(view, path, fields))


def rounded(score: float) -> float:
    """Scores are float32."""
    return float(str(numpy.float32(score)))
