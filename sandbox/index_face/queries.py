"""The query language, so far as it is served: a query becomes a function from a document to its score."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.index_face.chance import by_chance
from sandbox.index_face.errors import illegal_argument, malformed, not_served, parsing
from sandbox.index_face.nearest import nearest, not_created, scored_by_script
from sandbox.index_face.patterns import as_list
from sandbox.index_face.values import View, comparable, holds_any, terms, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.index_face.documents import Snapshot
    from sandbox.index_face.index import Index

    Score = Callable[[View], float | None]
    """None: the document is not found."""

# What OpenSearch has and the sandbox has not: a query of any other name is one that it does not know either.
OTHERS = frozenset({
    "boosting", "combined_fields", "common", "dis_max", "distance_feature",
    "fuzzy", "geo_bounding_box", "geo_distance", "geo_polygon", "geo_shape", "has_child", "has_parent", "hybrid",
    "intervals", "match_bool_prefix", "match_phrase", "match_phrase_prefix", "more_like_this",
    "multi_match", "neural", "neural_sparse", "parent_id", "percolate", "query_string", "rank_feature",
    "regexp", "script", "simple_query_string", "span_containing", "span_first", "span_multi", "span_near",
    "span_not", "span_or", "span_term", "span_within", "terms_set", "wildcard", "wrapper", "xy_shape", "template",
    "agentic", "field_masking_span",
})  # fmt: skip
MATH = re.compile(r"now|.+\|\|")
BOUNDS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True)
class Within:
    """Where a query looks: one shard of an index, or the nested objects at a path in it."""

    index: Index
    snapshot: Snapshot
    nested: str | None = None
    shard: int = 0

    def sees(self, path: str) -> bool:
        """Whether the field lies where the query looks: nested objects are documents of their own."""
        return self.index.fields.nested_above(path) == self.nested


def compiled(query: Any, within: Within) -> Score:
    kind, given = _only(query, "query malformed, empty clause found")
    if kind in SIMPLE:
        return SIMPLE[kind](given, within)
    if kind == "bool":
        return _bool(given, within)
    if kind == "nested":
        return _nested(given, within)
    if kind == "knn":
        return nearest(given, within, compiled)
    if kind == "script_score":
        return scored_by_script(given, within, compiled)
    if kind == "function_score":
        return by_chance(given, within, compiled)
    if kind in OTHERS:
        raise not_served(f"the query [{kind}] over documents")
    raise parsing(f"unknown query [{kind}]")


def _only(given: Any, reason: str) -> tuple[str, Any]:
    if not isinstance(given, dict) or not given:
        raise malformed(reason)
    if len(given) != 1:
        names = list(given)
        reason = f"[{names[0]}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"
        raise parsing(reason)
    return next(iter(given.items()))


def _match_all(given: Any, within: Within) -> Score:
    boost = float(given.get("boost", 1.0))
    return lambda view: boost


def _match_none(given: Any, within: Within) -> Score:
    return lambda view: None


def _ids(given: Any, within: Within) -> Score:
    wanted = {str(value) for value in given.get("values", [])}
    return lambda view: 1.0 if view.document.id in wanted else None


def _exists(given: Any, within: Within) -> Score:
    path = str(given.get("field"))
    fields = within.index.fields
    if path in ("_id", "_seq_no", "_index"):
        return lambda view: 1.0
    if path == "_routing":
        return lambda view: 1.0 if view.document.routing is not None else None
    if not within.sees(path) or path in fields.nested:
        return _match_none(given, within)
    return lambda view: 1.0 if holds_any(view, path, fields) else None


def _term(given: Any, within: Within) -> Score:
    path, value = _only(given, "[term] query malformed, no field")
    boost = 1.0
    if isinstance(value, dict):
        boost = float(value.get("boost", 1.0))
        value = value.get("value")
    return _any_of(path, [value], within, boost)


def _terms(given: Any, within: Within) -> Score:
    named = {name: value for name, value in given.items() if name != "boost"}
    path, values = _only(named, "[terms] query malformed, no field")
    if not isinstance(values, list):
        raise parsing("[terms] query does not support [" + path + "]")
    return _any_of(path, values, within, float(given.get("boost", 1.0)))


def _any_of(path: str, values: list[Any], within: Within, boost: float) -> Score:
    if special := SPECIAL.get(path):
        texts = {str(value) for value in values}
        return lambda view: boost if str(special(view, within)) in texts else None
    fields = within.index.fields
    field = fields.types.get(path)
    if field is None or not within.sees(path):
        return lambda view: None
    if field["type"] == "knn_vector":
        reason = "KNN vector do not support exact searching, use KNN queries instead: [" + path + "]"
        raise illegal_argument(reason)
    wanted = {made for value in values if (made := comparable(value, field["type"])) is not None}
    return lambda view: None if wanted.isdisjoint(terms(view, path, fields)) else boost


SPECIAL: dict[str, Callable[[View, Within], Any]] = {
    "_id": lambda view, within: view.document.id,
    "_seq_no": lambda view, within: view.document.seq_no,
    "_index": lambda view, within: within.index.name,
    "_routing": lambda view, within: view.document.routing,
}


def _match(given: Any, within: Within) -> Score:
    """Any token of the text, or with `operator: and` all of them; a field that is no text is compared as a term."""
    path, asked = _only(given, "No text specified for text query")
    options = asked if isinstance(asked, dict) else {"query": asked}
    if unknown := sorted(set(options) - {"query", "operator", "boost"}):
        raise not_served(f"{unknown} in a match over documents")
    field = within.index.fields.types.get(path)
    if field is None or field["type"] != "text":
        return _any_of(path, [options.get("query")], within, float(options.get("boost", 1.0)))
    fields, wanted = within.index.fields, set(tokens(str(options.get("query"))))
    least = len(wanted) if str(options.get("operator", "or")).lower() == "and" else 1

    def score(view: View) -> float | None:
        found = len(wanted.intersection(terms(view, path, fields))) if within.sees(path) else 0
        return float(found) if found >= max(least, 1) else None

    return score


def _prefix(given: Any, within: Within) -> Score:
    path, asked = _only(given, "[prefix] query malformed, no field")
    start = str(asked.get("value") if isinstance(asked, dict) else asked)
    fields = within.index.fields
    if not within.sees(path):
        return lambda view: None
    return lambda view: 1.0 if any(str(term).startswith(start) for term in terms(view, path, fields)) else None


def _constant_score(given: Any, within: Within) -> Score:
    inner, boost = compiled(given.get("filter"), within), float(given.get("boost", 1.0))
    return lambda view: None if inner(view) is None else boost


def _range(given: Any, within: Within) -> Score:
    path, asked = _only(given, "[range] query malformed, no field")
    if unknown := set(asked) - {*BOUNDS, "from", "to", "include_lower", "include_upper", "boost", "format"}:
        raise parsing(f"[range] query does not support [{sorted(unknown)[0]}]")
    if not set(asked).isdisjoint({"from", "to", "include_lower", "include_upper", "format"}):
        raise not_served(f"{sorted(set(asked) - set(BOUNDS))} in a range over documents")
    fields = within.index.fields
    kind = "long" if path == "_seq_no" else fields.types.get(path, {}).get("type")
    if kind is None or not within.sees(path):
        return lambda view: None
    bounds = {name: _bound(asked[name], kind, path) for name in BOUNDS if asked.get(name) is not None}

    def fits(value: Any) -> bool:
        return (
            ("gt" not in bounds or value > bounds["gt"])
            and ("gte" not in bounds or value >= bounds["gte"])
            and ("lt" not in bounds or value < bounds["lt"])
            and ("lte" not in bounds or value <= bounds["lte"])
        )

    if path == "_seq_no":
        return lambda view: 1.0 if fits(view.document.seq_no) else None
    return lambda view: 1.0 if any(map(fits, terms(view, path, fields))) else None


def _bound(value: Any, kind: str, path: str) -> Any:
    made = comparable(value, kind)
    if made is None and kind in ("date", "date_nanos") and MATH.match(str(value)):
        raise not_served("date math but for an offset")
    if made is None:
        raise illegal_argument(f"failed to parse [{value}] of [{path}]")
    return made


def _bool(given: Any, within: Within) -> Score:
    if unknown := set(given) - {"filter", "must", "should", "must_not", "minimum_should_match", "boost"}:
        raise parsing(f"[bool] query does not support [{sorted(unknown)[0]}]")
    must, filters, banned, wished = (
        [compiled(item, within) for item in as_list(given.get(name, []))]
        for name in ("must", "filter", "must_not", "should")
    )
    least = int(given.get("minimum_should_match", 1 if wished and not must and not filters else 0))

    def score(view: View) -> float | None:
        total = 0.0
        for one in must:
            if (found := one(view)) is None:
                return None
            total += found
        if any(one(view) is None for one in filters) or any(one(view) is not None for one in banned):
            return None
        matched = [found for one in wished if (found := one(view)) is not None]
        return total + sum(matched) if len(matched) >= least else None

    return score


def _nested(given: Any, within: Within) -> Score:
    path = given.get("path")
    if unknown := set(given) - {"path", "query", "score_mode", "ignore_unmapped", "inner_hits"}:
        raise not_served(f"{sorted(unknown)} in a nested query")
    if path not in within.index.fields.nested:
        if given.get("ignore_unmapped"):
            return lambda view: None
        words = f"[nested] failed to find nested object under path [{path}]"
        raise not_created(words, within, "illegal_state_exception")
    inner = compiled(given.get("query"), replace(within, nested=path))

    def score(view: View) -> float | None:
        found = [one for each in view.objects_at(path) if (one := inner(each)) is not None]
        return max(found) if found else None

    return score


SIMPLE: dict[str, Callable[[Any, Within], Score]] = {
    "match_all": _match_all,
    "match_none": _match_none,
    "ids": _ids,
    "exists": _exists,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "match": _match,
    "prefix": _prefix,
    "constant_score": _constant_score,
}
