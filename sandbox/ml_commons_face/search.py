"""`_search` over the system indices: the part of the query language that ML Commons' clients use, 501 for the rest.

Field types follow the plugin's index mappings: `name` and a model's `connector_id` are text (a `term` on them compares
single tokens), `remote_job` and the like are flat_object (dotted paths, values as text).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from sandbox.ml_commons_face.documents import visible
from sandbox.ml_commons_face.errors import OpenSearchError, not_served

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.ml_commons_face.documents import Index
    from sandbox.state import Stored

    Test = Callable[[Stored], bool]

TEXT_FIELDS = {
    ".plugins-ml-connector": {"name", "description"},
    ".plugins-ml-model-group": {"name", "description"},
    ".plugins-ml-model": {"name", "description", "connector_id"},
    ".plugins-ml-task": {"error"},
}
FLAT_FIELDS = {"remote_job", "response", "parameters", "actions", "client_config", "credential"}
KNOWN_KEYS = {"query", "size", "from", "sort", "_source", "track_total_hits", "version", "seq_no_primary_term"}


def tokens(text: str) -> list[str]:
    """The standard analyzer on ids and names: words end at a hyphen, not at an underscore."""
    return re.findall(r"\w+", text.lower())


def search(index: Index, body: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(body) - KNOWN_KEYS:
        raise not_served(f"{sorted(unknown)} in a search; it knows {sorted(KNOWN_KEYS)}")
    began = time.monotonic()
    if not index.exists:
        return _answer([], 0, 0.0, 0, shards=0)
    query = body.get("query", {"match_all": {}})
    test = Query(index).test(query)
    found = [stored for stored in index.all() if test(stored)]
    sort_keys = _sort_keys(body.get("sort"))
    for name, descending in reversed(sort_keys):
        found.sort(key=lambda stored: _sort_value(stored, name), reverse=descending)  # noqa: B023
    begin, size = int(body.get("from", 0)), int(body.get("size", 10))
    shown = found[begin : begin + size]
    score = None if sort_keys or not shown else 0.0 if _is_filter_only(query) else 1.0
    hits = [_hit(index, stored, score, sort_keys, body.get("_source", True)) for stored in shown]
    return _answer(hits, len(found), score, int((time.monotonic() - began) * 1000))


class Query:
    def __init__(self, index: Index) -> None:
        self._text = TEXT_FIELDS[index.name]

    def test(self, query: object) -> Test:
        kind, given = _one(query, "query")
        if kind == "match_all":
            return lambda stored: True
        if kind == "ids":
            wanted = set(given.get("values", []))
            return lambda stored: stored.id in wanted
        if kind == "exists":
            return lambda stored: bool(self._values(stored, str(given["field"])))
        if kind == "bool":
            return self._bool(given)
        if kind in ("term", "terms", "match", "prefix"):
            return self._field_query(kind, given)
        raise not_served(f"the query [{kind}]")

    def _field_query(self, kind: str, given: dict[str, Any]) -> Test:
        field, value = _one({key: value for key, value in given.items() if key != "boost"}, kind)
        if isinstance(value, dict):
            value = value.get("query" if kind == "match" else "value")
        if kind == "terms":
            if not isinstance(value, list):
                raise OpenSearchError(400, "parsing_exception", "[terms] query requires an array of terms")
            terms = {_term(item) for item in value}
            return lambda stored: not terms.isdisjoint(self._values(stored, field))
        if kind == "prefix":
            return lambda stored: any(found.startswith(_term(value)) for found in self._values(stored, field))
        if kind == "match" and field in self._text:
            wanted = set(tokens(_term(value)))
            return lambda stored: not wanted.isdisjoint(self._values(stored, field))
        return lambda stored: _term(value) in self._values(stored, field)

    def _bool(self, given: dict[str, Any]) -> Test:
        if unknown := set(given) - {"filter", "must", "should", "must_not", "minimum_should_match"}:
            raise not_served(f"{sorted(unknown)} in a bool query")
        needed = [self.test(item) for key in ("filter", "must") for item in _list(given.get(key, []))]
        banned = [self.test(item) for item in _list(given.get("must_not", []))]
        wished = [self.test(item) for item in _list(given.get("should", []))]
        least = int(given.get("minimum_should_match", 1 if wished and not needed else 0))

        def test(stored: Stored) -> bool:
            return (
                all(one(stored) for one in needed)
                and not any(one(stored) for one in banned)
                and sum(one(stored) for one in wished) >= least
            )

        return test

    def _values(self, stored: Stored, field: str) -> list[str]:
        """What the index holds for a field: tokens of text, the words of everything else as they are."""
        if field == "_id":
            return [stored.id]
        body = visible(stored.body)
        root, _, path = field.partition(".")
        if root in FLAT_FIELDS:
            leaves = _leaves(body.get(root), "")
            return [value for name, value in leaves if not path or name == path or name.startswith(f"{path}.")]
        if path == "keyword":
            return _whole(body.get(root)) if root in self._text else []
        if field in self._text:
            return [token for value in _whole(body.get(field)) for token in tokens(value)]
        return _whole(body.get(field))


def _one(given: object, what: str) -> tuple[str, Any]:
    if not isinstance(given, dict) or len(given) != 1:
        raise OpenSearchError(400, "parsing_exception", f"[{what}] malformed query, expected exactly one name in it")
    return next(iter(given.items()))


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _term(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whole(value: object) -> list[str]:
    return [] if value is None else [_term(item) for item in _list(value)]


def _leaves(value: object, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item, path)]
    return [] if value is None else [(path, _term(value))]


def longest_leaf(value: object) -> bytes:
    return max((text.encode() for _, text in _leaves(value, "")), key=len, default=b"")


def _sort_keys(given: Any) -> list[tuple[str, bool]]:
    """Field and whether it goes down."""
    keys = []
    for item in _list(given if given is not None else []):
        field, order = (item, "asc") if isinstance(item, str) else _one(item, "sort")
        if isinstance(order, dict):
            order = order.get("order", "asc")
        keys.append((field, order == "desc"))
    return keys


def _sort_value(stored: Stored, field: str) -> tuple[bool, Any]:
    if field in ("_doc", "_score", "_id"):
        return False, stored.id if field == "_id" else stored.seq
    value = visible(stored.body).get(field.removesuffix(".keyword"))
    if isinstance(value, dict | list):
        raise not_served(f"sorting by [{field}]")
    return value is None, value if value is not None else 0


def _is_filter_only(query: Any) -> bool:
    return isinstance(query, dict) and set(query.get("bool", {})) == {"filter"}


def _hit(
    index: Index, stored: Stored, score: float | None, sort_keys: list[tuple[str, bool]], source: Any
) -> dict[str, Any]:
    hit: dict[str, Any] = {
        "_index": index.name,
        "_id": stored.id,
        "_version": stored.version,
        "_seq_no": stored.seq_no,
        "_primary_term": 1,
        "_score": score,
    }
    body = visible(stored.body)
    if source is not False:
        hit["_source"] = body if source is True else _some(body, source)
    if sort_keys:
        hit["sort"] = [_sort_value(stored, name)[1] for name, _ in sort_keys]
    return hit


def _some(body: dict[str, Any], source: Any) -> dict[str, Any]:
    if isinstance(source, dict):
        if set(source) - {"includes"}:
            raise not_served("a _source with excludes")
        source = source.get("includes", [])
    names = _list(source)
    if any("*" in name or "." in name for name in names):
        raise not_served("patterns and paths in _source")
    return {key: value for key, value in body.items() if key in names}


def _answer(hits: list[dict[str, Any]], total: int, score: float | None, took: int, shards: int = 1) -> dict[str, Any]:
    return {
        "took": took,
        "timed_out": False,
        "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": total, "relation": "eq"}, "max_score": score, "hits": hits},
    }
