"""Grouping: many rows a request on the way out, one answer or reason a row on the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.reconcile import MISSING, Failure, Fate, Tally, join
from opensearch_batch.prepare.grouping import group_name, ids_line, in_groups, read_groups
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import Place

VENDOR = providers.DEFAULT


def records(*texts: str) -> list[Record]:
    return [Record(f"r{n}", text, Place("mem://in", n)) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "most", "most_bytes", "expected"),
    [
        ([], 2, 10, []),
        (["a"], 2, 10, [["r0"]]),
        (["a", "b", "c"], 2, 10, [["r0", "r1"], ["r2"]]),
        (["a", "b", "c", "d"], 2, 10, [["r0", "r1"], ["r2", "r3"]]),
        (["aaaa", "bbbb", "cc"], 9, 6, [["r0"], ["r1", "r2"]]),
        (["ééé", "a"], 9, 6, [["r0"], ["r1"]]),
        (["a", "far too long a text", "b"], 9, 6, [["r0"], ["r1"], ["r2"]]),
    ],
)
def test_rows_are_grouped_in_order_by_number_and_bytes(
    texts: list[str], most: int, most_bytes: int, expected: list[list[str]]
) -> None:
    groups = in_groups(records(*texts), most, most_bytes)
    assert [[record.id for record in group] for group in groups] == expected


def test_a_groups_name_tells_its_rows_and_their_order_and_nothing_else() -> None:
    names = {group_name(ids) for ids in (["a", "b"], ["b", "a"], ["a"], ["ab"], ['a","b'], ["a,b"])}
    assert len(names) == 6
    assert {len(name) for name in names} == {37}
    assert group_name(("x" * 10_000,) * 100)[:5] == "rows-"


def test_an_ids_file_gives_the_groups_again() -> None:
    groups = [["a", "é\n"], ["b"]]
    assert read_groups(map(ids_line, groups)) == {group_name(ids): tuple(ids) for ids in groups}


FIRST, SECOND = ["a", "b", "c"], ["d", "e"]
IDS = FIRST + SECOND


def answered(ids: list[str], data: list[tuple[int, Any]], name: str | None = None) -> bytes:
    body = {"data": [{"index": at, "embedding": vector} for at, vector in data], "usage": {"prompt_tokens": 7}}
    line = {"custom_id": name or group_name(ids), "response": {"status_code": 200, "body": body}, "error": None}
    return json.dumps(line).encode()


def refused(ids: list[str], code: str) -> bytes:
    body = {"error": {"code": code, "message": "No."}}
    return json.dumps({"custom_id": group_name(ids), "response": {"status_code": 400, "body": body}}).encode()


WHOLE = [answered(FIRST, [(0, [1]), (1, [2]), (2, [3])]), answered(SECOND, [(0, [4]), (1, [5])])]


def joined(*lines: bytes, end: Fate | None = None) -> tuple[dict[str, Any], dict[str, str], Tally]:
    """Vectors by id, codes by id; each row once and no other."""
    tally, groups = Tally(), read_groups(map(ids_line, (FIRST, SECOND)))
    rows = list(join(IDS, lines, VENDOR, end or Fate(), tally, groups))
    assert sorted(row.id for row in rows) == IDS
    vectors = {row.id: json.loads(bytes(row.vector or b"")) for row in rows if isinstance(row, Answer)}
    codes = {row.id: row.code for row in rows if isinstance(row, Failure)}
    assert tally.answered + tally.failed + tally.missing == len(IDS)
    return vectors, codes, tally


ALL = {"a": [1], "b": [2], "c": [3], "d": [4], "e": [5]}


def test_each_row_gets_the_vector_with_its_place() -> None:
    vectors, codes, tally = joined(*reversed(WHOLE))
    assert (vectors, codes) == (ALL, {})
    assert tally.usage.input_tokens == 14


def test_entries_in_another_order_are_joined_by_index() -> None:
    vectors, _, tally = joined(answered(FIRST, [(2, [3]), (0, [1]), (1, [2])]), WHOLE[1])
    assert vectors == ALL
    assert tally.usage.input_tokens == 14


def test_a_request_that_failed_fails_each_of_its_rows_with_the_reason() -> None:
    vectors, codes, tally = joined(refused(FIRST, "too_long"), WHOLE[1])
    assert (sorted(vectors), codes) == (SECOND, dict.fromkeys(FIRST, "too_long"))
    assert tally.codes == {"too_long": 3}


def test_a_request_without_a_line_is_missing_row_by_row() -> None:
    _, codes, tally = joined(WHOLE[0])
    assert codes == dict.fromkeys(SECOND, MISSING)
    assert (tally.missing, tally.named) == (2, {MISSING: SECOND})


def test_fewer_entries_than_texts_leave_their_rows_missing() -> None:
    vectors, codes, _ = joined(answered(FIRST, [(0, [1]), (2, [3])]), WHOLE[1])
    assert (codes, sorted(vectors)) == ({"b": MISSING}, ["a", "c", "d", "e"])


@pytest.mark.parametrize("place", [3, 100, -1])
def test_an_entry_for_a_text_that_was_not_sent_is_unreadable(place: int) -> None:
    vectors, codes, tally = joined(answered(FIRST, [(0, [1]), (1, [2]), (2, [3]), (place, [9])]), WHOLE[1])
    assert (vectors, codes, tally.unreadable) == (ALL, {}, 1)


def test_a_wrong_index_is_a_duplicate_and_a_hole_and_never_another_rows_vector() -> None:
    vectors, codes, tally = joined(answered(FIRST, [(0, [1]), (0, [2]), (2, [3])]), WHOLE[1])
    assert (vectors["a"], codes) == ([1], {"b": MISSING})
    assert (tally.duplicates, tally.named["duplicates"]) == (1, ["a"])


def test_a_broken_vector_is_its_own_rows_trouble() -> None:
    vectors, codes, tally = joined(answered(FIRST, [(0, [1]), (1, [None]), (2, [3])]), WHOLE[1])
    assert (sorted(vectors), codes) == (["a", "c", "d", "e"], {"b": "not_a_vector"})
    assert (tally.unreadable, tally.missing) == (0, 0)


def test_a_request_that_comes_twice_counts_once() -> None:
    vectors, _, tally = joined(*WHOLE, WHOLE[0], refused(SECOND, "late"))
    assert (vectors, tally.duplicates) == (ALL, 5)


@pytest.mark.parametrize("other", [["x", "y", "z"], ["c", "b", "a"], ["a", "b"]])
def test_another_shards_request_is_foreign_whatever_it_shares_with_ours(other: list[str]) -> None:
    vectors, codes, tally = joined(answered(other, [(0, [9]), (1, [9])]), WHOLE[1])
    assert (sorted(vectors), codes) == (SECOND, dict.fromkeys(FIRST, MISSING))
    assert (tally.foreign, tally.named["foreign"]) == (1, [group_name(other)])


@pytest.mark.parametrize("cut", [10, 60, -3])
def test_a_line_cut_in_half_is_unreadable_and_its_rows_missing(cut: int) -> None:
    _, codes, tally = joined(WHOLE[0][:cut], WHOLE[1])
    assert (codes, tally.unreadable) == (dict.fromkeys(FIRST, MISSING), 1)


def test_an_expired_job_gives_its_reason_to_every_row_of_a_request_that_was_not_run() -> None:
    _, codes, tally = joined(WHOLE[0], end=Fate("job_expired", "late"))
    assert (codes, tally.failed) == (dict.fromkeys(SECOND, "job_expired"), 2)
