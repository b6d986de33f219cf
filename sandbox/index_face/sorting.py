"""The order of hits: the values they are sorted by, and where a walk goes on after some."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import Problem, illegal_argument, malformed, not_served, parsing
from sandbox.index_face.mappings import BROKEN, DATES, WHOLE
from sandbox.index_face.times import parsed_time
from sandbox.index_face.values import View, terms

if TYPE_CHECKING:
    from sandbox.index_face.index import Index

LEAST, MOST = -(2**63), 2**63 - 1
META = frozenset({"_doc", "_seq_no", "_id", "_shard_doc", "_score"})
Value = Callable[[View, int, float], Any]
"""Of a document, the number of its shard in this search, and its score."""


@dataclass(frozen=True)
class Key:
    field: str
    descends: bool
    missing: Any = "_last"
    unmapped_type: str | None = None
    mode: str | None = None


def keys(given: Any) -> list[Key]:
    """Those of a search; by the score alone is how hits come anyhow, and is no sort."""
    items = given if isinstance(given, list) else [] if given is None else [given]
    found = [key for item in items for key in _keys(item)]
    return [] if [(key.field, key.descends) for key in found] == [("_score", True)] else found


def _keys(item: Any) -> list[Key]:
    if isinstance(item, str):
        return [Key(item, item == "_score")]
    if not isinstance(item, dict):
        raise parsing("malformed sort format, within the sort array, an object, or an actual string are allowed")
    return [_key(field, how) for field, how in item.items()]


def _key(field: str, how: Any) -> Key:
    if isinstance(how, str):
        how = {"order": how}
    if unknown := set(how) - {"order", "missing", "unmapped_type", "mode"}:
        raise not_served(f"{sorted(unknown)} in a sort of documents")
    order = str(how.get("order", "desc" if field == "_score" else "asc")).lower()
    if order not in ("asc", "desc"):
        raise malformed(f"Unknown SortOrder [{order}]")
    return Key(field, order == "desc", how.get("missing", "_last"), how.get("unmapped_type"), how.get("mode"))


def value_of(key: Key, index: Index, *, in_pit: bool, is_3x: bool) -> Value:
    """How the value is found in this index; Problem is its shards' failure."""
    if key.field == "_shard_doc" and in_pit and is_3x:
        return lambda view, shard, score: (shard << 32) + view.place
    if key.field in META - {"_shard_doc"}:
        return SPECIAL[key.field]
    field = index.fields.types.get(key.field)
    kind = field["type"] if field else key.unmapped_type
    if kind is None:
        if key.field == "_version":
            raise illegal_argument("Fielddata is not supported on field [_version] of type [_version]")
        reason = f"No mapping found for [{key.field}] in order to sort on"
        more = {"index": index.name, "index_uuid": index.uuid}
        raise Problem(400, "query_shard_exception", reason, more)
    if kind == "knn_vector":
        reason = f"knn vector field '{key.field}' doesn't support sorting"
        raise Problem(500, "unsupported_operation_exception", reason)
    if kind == "text":
        raise illegal_argument(
            "Text fields are not optimised for operations that require per-document field data like aggregations and "
            "sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, "
            f"set fielddata=true on [{key.field}] in order to load field data by uninverting the inverted index. Note "
            "that this can use significant memory."
        )
    missing = _missing(key, kind)
    takes_most = key.mode == "max" if key.mode else key.descends
    fields = index.fields

    def value(view: View, shard: int, score: float) -> Any:
        found = terms(view, key.field, fields)
        if not found:
            return missing
        return shown(max(found) if takes_most else min(found), kind)

    return value


SPECIAL: dict[str, Value] = {
    "_doc": lambda view, shard, score: view.place,
    "_seq_no": lambda view, shard, score: view.document.seq_no,
    "_id": lambda view, shard, score: view.document.id,
    "_score": lambda view, shard, score: score,
}


def shown(value: Any, kind: str) -> Any:
    """As `sort` gives it back: dates in milliseconds, true and false as 1 and 0."""
    if kind == "date":
        return value // 1_000_000
    if kind == "boolean":
        return int(value)
    return float(value) if kind in BROKEN else value


def _missing(key: Key, kind: str) -> Any:
    if key.missing not in ("_last", "_first"):
        return key.missing
    goes_high = (key.missing == "_last") != key.descends
    if kind in WHOLE or kind in DATES or kind == "boolean":
        return MOST if goes_high else LEAST
    if kind in BROKEN:
        return math.inf if goes_high else -math.inf
    return None


def place(values: list[Any], sort: list[Key]) -> tuple[Any, ...]:
    """What hits are compared by, column by column."""
    return tuple(_column(value, key) for value, key in zip(values, sort, strict=True))


def _column(value: Any, key: Key) -> tuple[int, Any]:
    if value is None:
        return (1 if (key.missing != "_first") != key.descends else -1), 0
    return 0, value


def is_after(one: tuple[Any, ...], mark: tuple[Any, ...], sort: list[Key]) -> bool:
    """Strictly: a hit that is equal in all columns is not."""
    for left, right, key in zip(one, mark, sort, strict=True):
        if left != right:
            return bool(left < right) if key.descends else bool(left > right)
    return False


def mark(given: Any, sort: list[Key]) -> list[Any]:
    """The values of `search_after`, as a hit had them."""
    if not isinstance(given, list):
        raise parsing("Expected [START_ARRAY] in [search_after]")
    if not sort:
        raise malformed("Sort must contain at least one field.")
    if len(given) != len(sort):
        reason = f"search_after has {len(given)} value(s) but sort has {len(sort)}."
        raise malformed(reason)
    return [_mark(value) for value in given]


def _mark(value: Any) -> Any:
    return {"Infinity": math.inf, "-Infinity": -math.inf}.get(value, value) if isinstance(value, str) else value


def typed(values: list[Any], like: tuple[Any, ...]) -> list[Any]:
    """Marks as numbers where the column has numbers: a date may come as text."""
    made = []
    for value, (_, other) in zip(values, like, strict=True):
        if isinstance(value, str) and isinstance(other, int | float):
            nanos = parsed_time(value)
            value = nanos // 1_000_000 if nanos is not None and not value.lstrip("-").isdigit() else float(value)
        made.append(value)
    return made


def given_back(value: Any) -> Any:
    """JSON has no infinity."""
    return ("Infinity" if value > 0 else "-Infinity") if value in (math.inf, -math.inf) else value
