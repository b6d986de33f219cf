"""Queries whose answer changes with the documents' own writes; after any other an index is read whole."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.sources.steady_queries import is_steady

STEADY: list[dict[str, Any]] = [
    {"match_all": {}},
    {"ids": {"values": ["a"]}},
    {"exists": {"field": "title"}},
    {"term": {"script": {"value": "nowhere", "case_insensitive": True}}},
    {"terms": {"tenant": ["a", "b"], "boost": 2}},
    {"range": {"day": {"gte": "2026-01-30", "lt": "2026-01-30||+1d"}}},
    {"prefix": {"sku": "ab"}},
    {"wildcard": {"sku": {"value": "a*b?"}}},
    {"regexp": {"sku": "[a-z]{3}"}},
    {"match": {"title": {"query": "snow", "operator": "and"}}},
    {"match_phrase": {"title": "ice age"}},
    {"multi_match": {"query": "ice", "fields": ["title", "body"]}},
    {"query_string": {"query": "day:[* TO 2026-01-01] AND title:kno*"}},
    {"simple_query_string": {"query": "ice +age"}},
    {"geo_distance": {"distance": "2km", "place": {"lat": 1, "lon": 2}}},
    {"nested": {"path": "parts", "query": {"term": {"parts.sku": "x"}}}},
    {"constant_score": {"filter": {"term": {"a": "b"}}}},
    {"dis_max": {"queries": [{"term": {"a": "b"}}, {"match": {"a": "b"}}]}},
    {"bool": {"filter": {"term": {"a": "b"}}, "must_not": [{"exists": {"field": "x"}}], "minimum_should_match": 0}},
]

UNSTEADY: list[Any] = [
    {"range": {"day": {"lt": "now-7d"}}},
    {"range": {"day": {"lt": "now"}}},
    {"term": {"day": "now/d"}},
    {"query_string": {"query": "day:[* TO now-7d]"}},
    {"simple_query_string": {"query": "ice now"}},
    {"query_string": {"query": "title:iec~"}},
    {"terms": {"tenant": {"index": "allowed", "id": "1", "path": "tenants"}}},
    {"has_parent": {"parent_type": "shop", "query": {"term": {"open": True}}}},
    {"script": {"script": "doc['day'].value.toInstant().toEpochMilli() < new Date().getTime()"}},
    {"function_score": {"query": {"match_all": {}}, "functions": [{"random_score": {}}], "min_score": 0.5}},
    {"knn": {"vector": {"vector": [1], "k": 3}}},
    {"more_like_this": {"like": "ice"}},
    {"percolate": {"field": "query", "document": {}}},
    {"geo_shape": {"place": {"indexed_shape": {"index": "shapes", "id": "1"}}}},
    {"fuzzy": {"title": "iec"}},
    {"match": {"title": {"query": "iec", "fuzziness": "AUTO"}}},
    {"multi_match": {"query": "ic", "type": "phrase_prefix", "fields": ["title"]}},
    {"match_phrase_prefix": {"title": "ice a"}},
    {"prefix": {"sku": {"value": "a", "rewrite": "top_terms_10"}}},
    {"a_kind_of_a_later_version": {}},
    {"term": {"a": "b"}, "match": {"a": "b"}},
    {"match_all": None},
]


@pytest.mark.parametrize("query", STEADY, ids=str)
def test_queries_of_a_documents_own_values_are_steady(query: dict[str, Any]) -> None:
    assert is_steady(query)
    assert is_steady({"bool": {"must": [query, {"match_all": {}}]}})


@pytest.mark.parametrize("query", UNSTEADY, ids=str)
def test_queries_of_the_clock_or_of_other_documents_are_not(query: Any) -> None:
    assert not is_steady(query)
    for place in ("must", "filter", "should", "must_not"):
        assert not is_steady({"bool": {place: [{"match_all": {}}, query]}})
    assert not is_steady({"constant_score": {"filter": query}})
    assert not is_steady({"nested": {"path": "parts", "query": query}})
