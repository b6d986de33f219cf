"""The walk over an index: each document once, none lost, whatever happens to points in time, shards and writers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.sources import index_rows
from opensearch_batch.sources.index_rows import IndexSource, open_index
from tests.index.bench import DIMENSIONS, FIELDS, VECTOR, Fill, Index, articles

Night = Callable[..., Fill]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_rows, "FIRST_PAGE", 10)
    monkeypatch.setattr(index_rows, "MOST_A_PAGE", 10)


def source_of(index: Index) -> IndexSource:
    return open_index(index.uri, None, ["body"])


def ids(source: IndexSource) -> list[str]:
    return [row.fields["_id"] for row in source.rows()]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_each_document_comes_once(index: Index, shards: int) -> None:
    other = index.cluster.index("shards", shards=shards)
    other.add(articles(200))
    found = ids(source_of(other))
    assert sorted(found) == sorted(articles(200))


def test_a_write_that_no_search_sees_yet_comes_too(index: Index) -> None:
    index.add(articles(20))
    index.never_refresh()
    index.edit("a3", body="edited a moment ago")
    found = {row.fields["_id"]: row.fields["body"] for row in source_of(index).rows()}
    assert (len(found), found["a3"]) == (20, "edited a moment ago")


def test_writers_take_no_document_away_that_they_leave_alone(index: Index) -> None:
    """Edited documents may come as they were, or not at all: they belong to the next run."""
    index.add(articles(200))
    rows = source_of(index).rows()
    begun = [next(rows) for _ in range(5)]
    for n in range(50, 60):
        index.edit(f"a{n}", body="edited")
    index.add(articles(20, begin=500))
    index.cluster.ok("POST", f"/{index.name}/_refresh")
    found = [row.fields["_id"] for row in [*begun, *rows]]
    assert len(found) == len(set(found))
    untouched = set(articles(200)) - {f"a{n}" for n in range(50, 60)}
    assert untouched <= set(found) <= set(articles(200))


def test_a_lost_point_in_time_is_opened_again_where_the_walk_was(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(articles(200))
    send, pages = MLCommonsHook.send, []

    def losing(self: MLCommonsHook, call: Call) -> Any:
        if call.name == "read a page of documents":
            pages.append(call)
            if len(pages) in (3, 9, 10):
                send(self, documents.close_point_in_time((call.body or {})["pit"]["id"]))
                index.edit(f"a{len(pages)}", body="edited in between")
        return send(self, call)

    monkeypatch.setattr(MLCommonsHook, "send", losing)
    found = ids(source_of(index))
    assert len(found) == len(set(found))
    assert set(articles(200)) - set(found) <= {"a3", "a9", "a10"}
    assert len(found) >= 197


def test_an_index_made_again_in_the_middle_is_refused(index: Index, night: Night) -> None:
    index.add(articles(200))
    rows = source_of(index).rows()
    next(rows)
    index.cluster.delete(index.name)
    index.cluster.index(index.name).add(articles(200))
    with pytest.raises(Exception, match="another index than was read"):
        list(rows)


def test_an_index_deleted_in_the_middle_is_refused(index: Index) -> None:
    index.add(articles(200))
    rows = source_of(index).rows()
    next(rows)
    index.cluster.delete(index.name)
    with pytest.raises(Exception, match="was deleted since it was read"):
        list(rows)


def test_an_index_closed_in_the_middle_is_refused_and_read_once_it_is_open(index: Index, night: Night) -> None:
    index.add(articles(200))
    rows = source_of(index).rows()
    next(rows)
    index.cluster.ok("POST", f"/{index.name}/_close")
    with pytest.raises(Exception, match="articles is closed: POST articles/_open opens it"):
        list(rows)
    index.cluster.ok("POST", f"/{index.name}/_open?wait_for_active_shards=1")
    assert sorted(ids(source_of(index))) == sorted(articles(200))


def test_no_vector_is_read(index: Index, night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one beside the text, nor one in an object that a text lies in."""
    inner = {"properties": {"text": {"type": "text"}, "vector": VECTOR}}
    mixed = index.cluster.index("mixed", fields={**FIELDS, "of": inner})
    vector = [0.5] * DIMENSIONS
    mixed.add({f"m{n}": {"vector": vector, "of": {"text": f"text {n}", "vector": vector}} for n in range(30)})
    pages = []
    send = MLCommonsHook.send

    def noting(self: MLCommonsHook, call: Call) -> Any:
        answer = send(self, call)
        if call.name == "read a page of documents":
            pages.append(answer)
        return answer

    monkeypatch.setattr(MLCommonsHook, "send", noting)
    run = night(input={"prompt": "{of[text]}"}, write_back={"on_model_change": "replace"})
    run.index = mixed
    run.prepare()
    sources = [hit["_source"] for page in pages for hit in page.hits]
    assert sources == [{"of": {"text": source["of"]["text"]}} for source in sources]
    assert (len(sources), run.plan["records"]) == (30, 30)


def test_the_filter_of_an_alias_holds(index: Index, night: Night) -> None:
    index.add({**articles(5), "other": {"body": "text", "day": "2026-01-01"}})
    filtered = {"index": index.name, "alias": "january", "filter": {"range": {"day": {"lt": "2026-02-01"}}}}
    index.cluster.ok("POST", "/_aliases", {"actions": [{"add": filtered}]})
    run = night(input={"uri": "opensearch://corpus/january"})
    run.prepare()
    assert run.plan["records"] == 1


def page_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the pages that are read from now on."""
    sizes: list[int] = []
    send = MLCommonsHook.send

    def noting(self: MLCommonsHook, call: Call) -> Any:
        if call.name == "read a page of documents":
            sizes.append((call.body or {})["size"])
        return send(self, call)

    monkeypatch.setattr(MLCommonsHook, "send", noting)
    return sizes


def test_long_texts_come_in_smaller_pages(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_rows, "PAGE_CHARACTERS", 2_000)
    sizes = page_sizes(monkeypatch)
    single = index.cluster.index("long-texts", shards=1)
    single.add({f"l{n}": {"body": "word " * 200} for n in range(60)})
    assert sorted(ids(source_of(single))) == sorted(f"l{n}" for n in range(60))
    assert min(sizes) < 5


def test_vectors_of_others_come_in_smaller_pages(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy reads documents whole, but for the fields that this spec makes."""
    monkeypatch.setattr(index_rows, "PAGE_CHARACTERS", 1_000)
    sizes = page_sizes(monkeypatch)
    both = index.cluster.index("two-vectors", shards=1, fields={**FIELDS, "other_vector": VECTOR})
    vectors = {"vector": [0.5] * DIMENSIONS, "other_vector": [0.25] * DIMENSIONS}
    both.add({f"v{n}": vectors for n in range(60)})
    whole = replace(source_of(both), asked={"excludes": ["vector"]})
    assert sorted(hit["_id"] for hit in whole.hits()) == sorted(f"v{n}" for n in range(60))
    assert (sizes[0], set(sizes[1:])) == (10, {5})


@pytest.mark.parametrize("most", [1, 7])
def test_an_index_that_answers_with_few_hits_is_read_in_small_pages(index: Index, most: int) -> None:
    few = index.cluster.index("few-hits", shards=1)
    few.add(articles(20))
    index.cluster.ok("PUT", "/few-hits/_settings", {"index.max_result_window": most})
    assert sorted(ids(source_of(few))) == sorted(articles(20))


def test_a_query_that_the_cluster_refuses_is_told(index: Index, night: Night) -> None:
    index.add(articles(3))
    with pytest.raises(AirflowFailException, match="read a page of documents: HTTP 400"):
        night(input={"query": {"rainge": {"day": {"gte": "2026-01-01"}}}}).prepare()
