"""Steady queries: those whose answer changes only where one of the documents is written.

Only kinds that are known to look at each document by itself are taken for steady. Others look at the clock (scripts,
dates like now-1d), at other documents (has_parent, a terms lookup, percolate), at the nearest ones (knn, neural), or at
as many terms of the index as an expansion may have (fuzzy, match_phrase_prefix).
https://docs.opensearch.org/latest/query-dsl/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "bool": ("must", "filter", "should", "must_not"),
    "boosting": ("positive", "negative"),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "nested": ("query",),
}
"""Kinds that are made of other queries, with the keys of these."""

OF_A_FIELD = frozenset(
    {"term", "terms", "range", "prefix", "wildcard", "regexp", "match", "match_phrase", "match_bool_prefix"}
)
"""Kinds with a field's name as the key, and its value or options."""

OF_A_DOCUMENT = frozenset({"match_all", "match_none", "ids", "exists", "geo_distance", "geo_bounding_box"})
OF_WORDS = frozenset({"multi_match", "query_string", "simple_query_string"})
"""Kinds with the text to look for in `query`."""

NOW = re.compile(r"\bnow\b")
LIKE = "~"
"""In the text of a query: words like a word, of which as many count as an expansion may have."""

OPTIONS = frozenset(
    {"fuzziness", "max_expansions", "cutoff_frequency", "rewrite", "fuzzy_rewrite", "fuzzy_max_expansions"}
)
"""Options with which a kind looks at the terms of other documents."""


def is_steady(query: Any) -> bool:
    """Whether a query has its answers changed by writes of the documents alone; False where that is not known."""
    if not isinstance(query, Mapping) or len(query) != 1:
        return False
    [(kind, asked)] = query.items()
    if not isinstance(asked, Mapping):
        return False
    if kind in OF_OTHERS:
        return all(is_steady(inner) for key in OF_OTHERS[kind] for inner in _listed(asked.get(key, [])))
    if any(NOW.search(text) for text in _texts(asked)):
        return False
    if kind in OF_A_FIELD:
        return not any(_looks_elsewhere(kind, each) for each in asked.values() if isinstance(each, Mapping))
    if kind in OF_WORDS:
        return _is_of_plain_words(kind, asked)
    return kind in OF_A_DOCUMENT


def _looks_elsewhere(kind: str, options: Mapping[str, Any]) -> bool:
    """A field of `terms` with options has its values from a document of another index."""
    return kind == "terms" or not OPTIONS.isdisjoint(options)


def _is_of_plain_words(kind: str, asked: Mapping[str, Any]) -> bool:
    text = asked.get("query")
    if not isinstance(text, str) or not OPTIONS.isdisjoint(asked) or asked.get("type") == "phrase_prefix":
        return False
    return kind == "multi_match" or LIKE not in text


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _texts(each)
