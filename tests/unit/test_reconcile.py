"""Reconcile: every row has exactly one answer or one reason, whatever the provider's files look like."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import ReasonsUnread, Terminal, UnknownAnswer
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.reconcile import (
    EXAMPLES_A_CODE,
    MESSAGE_CHARACTERS,
    MISSING,
    NAMED,
    OTHER_DIMENSIONS,
    Failure,
    Fate,
    Left,
    Tally,
    fate,
    join,
)
from opensearch_batch.land.report import Report, sum_up
from opensearch_batch.prepare.plan import Plan

VENDOR = providers.DEFAULT
Rows = list[Answer | Failure]


def good(row_id: str, value: float = 0.5) -> bytes:
    body = {"data": [{"embedding": [value]}], "usage": {"prompt_tokens": 3}}
    line = {"custom_id": row_id, "response": {"status_code": 200, "body": body}, "error": None}
    return json.dumps(line).encode()


def bad(row_id: str, code: str = "invalid_request", message: str = "No.") -> bytes:
    body = {"error": {"code": code, "message": message}}
    return json.dumps({"custom_id": row_id, "response": {"status_code": 400, "body": body}}).encode()


def unrun(row_id: str, code: str = "batch_expired") -> bytes:
    error = {"code": code, "message": "not executed"}
    return json.dumps({"custom_id": row_id, "response": None, "error": error}).encode()


def joined(ids: list[str], lines: list[bytes], end: Fate | None = None) -> tuple[Rows, Tally]:
    tally = Tally()
    rows = list(join(ids, lines, VENDOR, end or Fate(), tally))
    assert sorted(row.id for row in rows) == sorted(ids), "each row once, and no other"
    assert tally.answered + tally.failed + tally.missing == len(ids)
    assert tally.answered == sum(isinstance(row, Answer) for row in rows)
    return rows, tally


def vectors(rows: Rows) -> dict[str, Any]:
    return {row.id: json.loads(row.vector) for row in rows if isinstance(row, Answer) and isinstance(row.vector, bytes)}


IDS = [f"row-{n}" for n in range(20)]


def test_shuffled_lines_find_their_rows() -> None:
    lines = [good(row_id, n / 100) for n, row_id in enumerate(IDS)]
    random.Random(7).shuffle(lines)
    rows, tally = joined(IDS, lines)
    assert vectors(rows) == {row_id: [n / 100] for n, row_id in enumerate(IDS)}
    assert (tally.answered, tally.usage.input_tokens, tally.codes) == (20, 60, {})
    assert tally.named == {"zero_vectors": ["row-0"]}


def test_a_lost_row_of_a_completed_job_is_missing_and_named() -> None:
    rows, tally = joined(IDS, [good(row_id) for row_id in IDS[:-1]])
    assert (tally.answered, tally.missing, tally.failed) == (19, 1, 0)
    assert tally.named == {MISSING: ["row-19"]}
    assert rows[-1] == Failure("row-19", MISSING, Fate().message, passing=True)


def test_of_a_row_that_comes_twice_the_first_counts() -> None:
    rows, tally = joined(["a", "b"], [good("a", 1), good("b", 2), good("a", 3), bad("b")])
    assert vectors(rows) == {"a": [1], "b": [2]}
    assert (tally.answered, tally.failed, tally.duplicates) == (2, 0, 2)
    assert tally.named == {"duplicates": ["a", "b"]}
    assert tally.usage.input_tokens == 6


def test_a_foreign_row_is_counted_named_and_never_lands() -> None:
    rows, tally = joined(["a"], [good("x"), good("a")])
    assert (tally.answered, tally.foreign, tally.named) == (1, 1, {"foreign": ["x"]})
    assert len(rows) == 1


def test_a_row_cut_in_half_is_unreadable_and_its_id_missing() -> None:
    whole = good("a")
    _, tally = joined(["a", "b"], [whole[: len(whole) // 2], good("b")])
    assert (tally.answered, tally.unreadable, tally.missing) == (1, 1, 1)
    assert tally.named == {MISSING: ["a"]}


@pytest.mark.parametrize(
    "line",
    [b"[]", b"null", b'"text"', b"5", b"\xff\xfe", b"{}", b'{"custom_id": "a"}'],
)
def test_a_line_of_another_shape_is_unreadable(line: bytes) -> None:
    _, tally = joined(["a", "b"], [line, good("b")])
    assert (tally.unreadable, tally.missing) == (1, 1)
    assert tally.first_unreadable.startswith("line 1: ")


def test_a_text_as_reason_stays_a_reason_and_refused_for_good() -> None:
    line = b'{"custom_id": "a", "response": {"status_code": 400, "body": null}, "error": "Too long."}'
    rows, tally = joined(["a", "b"], [line, good("b")])
    assert rows[0] == Failure("a", "400", "Too long.", passing=False)
    assert (tally.unreadable, tally.missing, tally.codes) == (0, 0, {"400": 1})


@pytest.mark.parametrize(
    ("line", "passing"),
    [
        ({"response": {"status_code": 0, "body": ""}}, True),
        ({"response": None, "error": {"code": "request_timeout"}}, True),
        ({"response": None, "error": {"code": "batch_failed"}}, True),
        ({"response": None, "error": {"code": 500}}, True),
        ({"response": {"status_code": "503", "body": {}}}, True),
        ({"response": {"status_code": "400", "body": {}}}, False),
        ({"response": {"status_code": 429, "body": {"error": {"code": "insufficient_quota"}}}}, False),
    ],
)
def test_what_passes_is_told_from_what_is_for_good(line: dict[str, Any], passing: bool) -> None:
    rows, _ = joined(["a", "b"], [json.dumps({"custom_id": "a", **line}).encode(), good("b")])
    assert isinstance(rows[0], Failure)
    assert (rows[0].passing, rows[0].code != MISSING) == (passing, True)


def test_a_reason_within_another_keeps_its_words() -> None:
    body = {"error": {"error": {"message": "Too long.", "code": "too_long"}}}
    line = {"custom_id": "a", "response": {"status_code": 400, "body": body}}
    rows, _ = joined(["a", "b"], [json.dumps(line).encode(), good("b")])
    assert rows[0] == Failure("a", "too_long", "Too long.", passing=False)


def test_where_no_line_can_be_read_no_row_is_missing() -> None:
    tally = Tally(repair=True)
    with pytest.raises(
        UnknownAnswer, match=r"^job-7: no line of its output can be read; line 2: .*none of its rows is"
    ):
        list(join(["a", "b"], [b"", b"<html>", b"[]"], VENDOR, Fate(), tally, job_name="job-7"))
    assert (tally.unreadable, tally.missing, tally.passing) == (2, 0, {})


@pytest.mark.parametrize("line", [good("x"), bad("a"), unrun("a")])
def test_a_line_that_can_be_read_is_enough_whatever_it_says(line: bytes) -> None:
    _, tally = joined(["a"], [b"<html>", line])
    assert (tally.unreadable, tally.answered) == (1, 0)


class Misspelt:
    """The vendor's reader with a misspelt attribute; all else is the vendor's own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(VENDOR, name)

    def read_line(self, raw: bytes) -> Answer:
        return Answer(VENDOR.read_line(raw).row_id)  # type: ignore[attr-defined]

    def read_many(self, raw: bytes) -> Iterator[Answer | None]:
        yield self.read_line(raw)


@pytest.mark.parametrize("groups", [None, {"a": ["a"]}])
def test_a_bug_of_the_reader_is_no_rows_fault(groups: dict[str, list[str]] | None) -> None:
    tally, misspelt = Tally(repair=True), Misspelt()
    said = (
        "job-7: the reader of provider 'openai' failed at line 2 of .*: AttributeError: .*'row_id'.*none of its rows is"
    )
    with pytest.raises(UnknownAnswer, match=said) as caught:
        list(join(["a"], [b"", good("a")], misspelt, Fate(), tally, groups, "job-7"))
    assert isinstance(caught.value.__cause__, AttributeError)
    assert (tally.unreadable, tally.missing, tally.passing) == (0, 0, {})


def test_blank_lines_are_nothing() -> None:
    _, tally = joined(["a"], [b"", good("a"), b"  "])
    assert (tally.answered, tally.unreadable) == (1, 0)


def test_a_job_whose_every_row_failed_has_a_reason_for_each() -> None:
    rows, tally = joined(["a", "b"], [bad("a", "too_long", "Too long."), bad("b", "too_long", "Also.")])
    assert (tally.answered, tally.failed, tally.missing, tally.codes) == (0, 2, 0, {"too_long": 2})
    assert rows == [Failure("a", "too_long", "Too long."), Failure("b", "too_long", "Also.")]


def test_a_vector_of_another_length_is_no_answer() -> None:
    longer = good("b").replace(b"[0.5]", b"[0.5, 0.5]")
    rows, tally = joined(["a", "b"], [good("a"), longer])
    assert (tally.answered, tally.codes) == (1, {OTHER_DIMENSIONS: 1})
    assert rows[1] == Failure("b", OTHER_DIMENSIONS, "the vector has 2 numbers, others of this job have 1")


def test_an_expired_job_keeps_its_answers_and_names_the_rest() -> None:
    end = fate("expired", None, None)
    rows, tally = joined(["a", "b", "c"], [good("a"), unrun("b")], end)
    assert (tally.answered, tally.failed, tally.missing) == (1, 2, 0)
    assert tally.codes == {"batch_expired": 1, "job_expired": 1}
    said = "the provider's job ended expired before this row was answered"
    assert rows[-1] == Failure("c", "job_expired", said, passing=True)


def test_a_failed_job_gives_its_own_reason_to_every_row() -> None:
    rows, tally = joined(["a", "b"], [], fate("failed", "token_limit_exceeded", "Enqueued token limit reached."))
    assert (tally.failed, tally.missing, tally.codes) == (2, 0, {"token_limit_exceeded": 2})
    assert {row.message for row in rows if isinstance(row, Failure)} == {"Enqueued token limit reached."}


def test_only_so_many_ids_are_named_but_all_are_counted() -> None:
    _, tally = joined(IDS, [])
    assert (tally.missing, len(tally.named[MISSING])) == (20, NAMED)


def test_the_first_failed_rows_of_each_code_are_kept_with_the_providers_words() -> None:
    lines = [bad(row_id, "too_long", "x" * 1000) for row_id in IDS[:5]] + [bad("row-9", "other", "Why.")]
    _, tally = joined(IDS, [*lines, *map(good, IDS[10:])], fate("expired", None, None))
    assert [(row.id, row.code) for row in tally.examples] == [
        *((row_id, "too_long") for row_id in IDS[:EXAMPLES_A_CODE]),
        ("row-9", "other"),
        *((row_id, "job_expired") for row_id in IDS[5 : 5 + EXAMPLES_A_CODE]),
    ]
    assert {len(row.message) for row in tally.examples} >= {MESSAGE_CHARACTERS, 4}
    report = sum_up(plan(20, 2), [landed(n, examples=tally.examples) for n in range(2)], "file:///out/manifest.json")
    assert len(report.examples) == NAMED


@pytest.mark.parametrize(
    ("end", "passing"),
    [
        (fate("completed", None, None), True),
        (fate("expired", None, None), True),
        (fate("cancelled", None, None), True),
        (fate("failed", None, None), True),
        (fate("failed", "token_limit_exceeded", "Full.", VENDOR.passes), True),
        (fate("failed", "invalid_json_line", "No.", VENDOR.passes), False),
    ],
)
def test_what_ends_a_job_is_passing_unless_it_failed_for_good(end: Fate, passing: bool) -> None:
    assert end.passing == passing


def test_with_repair_passing_rows_are_handed_on_and_count_nowhere_else() -> None:
    tally = Tally(repair=True)
    lines = [good("a"), bad("b", "too_long"), unrun("c"), unrun("d")]
    rows = [row for row in join(["a", "b", "c", "d", "e"], lines, VENDOR, Fate(), tally) if isinstance(row, Failure)]
    assert [row.id for row in rows if tally.hands_on(row)] == ["c", "d", "e"]
    assert (tally.answered, tally.failed, tally.missing, tally.codes) == (1, 1, 0, {"too_long": 1})
    assert tally.passing == {"batch_expired": 2, MISSING: 1}
    assert tally.named == {}


def landed(index: int, records: int = 10, round_: int = 0, **counts: Any) -> Landed:
    shard = Shard(index, f"{round_}-{index}", "s", records, 1, 1, round=round_)
    job = Job(f"batch-{index}", 1, f"batch_{index}", f"file-{index}", f"task-{index}", "m", shard)
    zero = dict.fromkeys(("failed", "missing", "duplicates", "foreign", "unreadable", "output_tokens"), 0)
    full = {"answered": records, "input_tokens": 1_000_000} | zero | counts
    uri = f"file:///out/results-{f'r{round_}-' if round_ else ''}{index}.jsonl"
    return Landed(job=job, state="completed", records=records, results=DataFile(uri, records, 1, "s"), **full)


def plan(records: int, shards: int) -> Plan:
    return Plan("key", records, shards, 100, 25, 2.0, 8.0, 0.00005)


@pytest.mark.parametrize("state", ["cancelled", "expired", "failed"])
def test_rows_of_a_job_that_did_not_end_well_say_so(state: str) -> None:
    end = fate(state, None, None)
    assert (end.code, end.passing) == (f"job_{state}", True)
    assert end.message == f"the provider's job ended {state} before this row was answered"
    assert fate(state, "code", "words").code == "code"
    assert fate("completed", None, None) == Fate()


def test_texts_have_no_length_to_agree_on() -> None:
    said = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
    lines = [json.dumps({"custom_id": id, "response": {"status_code": 200, "body": said}}).encode() for id in "ab"]
    rows = list(join(["a", "b"], lines, VENDOR, Fate(), tally := Tally(), asked=Asked(vectors=False)))
    assert [row.output for row in rows if isinstance(row, Answer)] == ["x", "x"]
    assert tally.answered == 2


def test_rows_whose_reasons_cannot_be_read_are_not_sent_again() -> None:
    """They may have been answered."""

    def lines() -> Iterator[bytes]:
        yield good("a")
        raise ReasonsUnread("its file is cut short")

    tally = Tally(repair=True)
    rows = list(join(["a", "b"], lines(), VENDOR, Fate(), tally))
    assert [row.id for row in rows] == ["a", "b"]
    assert (tally.answered, tally.codes, tally.passing) == (1, {"reasons_unread": 1}, {})


def test_a_whole_run_adds_up() -> None:
    report = sum_up(plan(20, 2), [landed(1), landed(0, output_tokens=500_000)], "file:///out/manifest.json")
    assert (report.records, report.answered, report.failed, report.missing) == (20, 20, 0, 0)
    assert report.problems == []
    assert [job.shard for job in report.jobs] == [0, 1]
    assert report.results == ["file:///out/results-0.jsonl", "file:///out/results-1.jsonl"]
    assert report.actual_tokens == 2_500_000
    assert report.actual_usd == pytest.approx(2 * 2.0 + 0.5 * 8.0)
    assert "20 of 20 rows answered, 0 failed, 0 missing; 2 jobs" in str(report)
    assert Report.from_dict(report.to_dict()) == report


def test_a_shard_that_never_landed_is_a_hole_of_all_its_rows() -> None:
    report = sum_up(plan(20, 2), [landed(0)], "file:///out/manifest.json")
    assert (report.answered, report.missing) == (10, 10)
    assert report.problems == ["10 missing", "shard 1 never landed"]


def test_nothing_that_landed_is_a_hole_of_everything() -> None:
    report = sum_up(plan(20, 2), [], "file:///out/manifest.json")
    assert (report.missing, report.jobs, report.actual_usd) == (20, [], 0)
    assert report.problems == ["20 missing", "shards 0, 1 never landed"]


def test_missing_and_unreadable_rows_are_problems_and_failed_ones_are_not() -> None:
    part = landed(0, answered=7, failed=1, missing=2, unreadable=1, codes={"too_long": 1}, named={MISSING: ["a", "b"]})
    report = sum_up(plan(10, 1), [part], "file:///out/manifest.json")
    assert report.problems == ["2 missing (a, b)", "1 unreadable"]
    assert report.codes == {"too_long": 1}


def test_rounds_add_up_and_each_row_counts_once() -> None:
    first = landed(
        0, answered=5, failed=1, codes={"too_long": 1}, passing={"batch_expired": 3, MISSING: 1}, unreadable=1
    )
    second = landed(0, 4, 1, answered=3, failed=1, codes={"batch_expired": 1})
    report = sum_up(plan(10, 1), [second, first], "file:///out/manifest.json")
    assert (report.records, report.answered, report.repaired, report.failed, report.missing) == (10, 8, 3, 2, 0)
    assert (report.codes, report.passing) == (
        {"too_long": 1, "batch_expired": 1},
        {"batch_expired": 3, MISSING: 1},
    )
    assert [(job.round, job.shard) for job in report.jobs] == [(0, 0), (1, 0)]
    assert report.results == ["file:///out/results-0.jsonl", "file:///out/results-r1-0.jsonl"]
    assert report.problems == [], "the line that could not be read was made up for"
    assert "8 of 10 rows answered (3 in a repair round), 2 failed, 0 missing" in str(report)
    assert Report.from_dict(report.to_dict()) == report


def test_a_row_that_two_rounds_handed_on_makes_up_for_no_line_of_another_job() -> None:
    first = landed(0, answered=9, passing={MISSING: 1})
    again = landed(0, 1, 1, answered=0, passing={MISSING: 1})
    last = landed(0, 1, 2, unreadable=2)
    report = sum_up(plan(10, 1), [first, again, last], "file:///out/manifest.json")
    assert (report.answered, report.missing, report.passing) == (10, 0, {MISSING: 2})
    assert report.problems == ["2 unreadable"]


def test_rows_that_a_lost_round_leaves_keep_their_earlier_reason() -> None:
    first = landed(0, answered=7, passing={"batch_expired": 2, MISSING: 1})
    tally = Tally()
    for failure in (Failure("a", "batch_expired", ""), Failure("b", "batch_expired", ""), Failure("c", MISSING, "")):
        tally.count(failure)
    left = Left(tally, DataFile("file:///out/failures-r1-left.jsonl", 3, 1, "s"))
    report = sum_up(plan(10, 1), [first], "file:///out/manifest.json", [left])
    assert (report.answered, report.failed, report.missing, report.left) == (7, 2, 1, 3)
    assert (report.codes, report.failures) == ({"batch_expired": 2}, ["file:///out/failures-r1-left.jsonl"])
    assert report.problems == ["1 missing (c)"]


def test_rows_handed_on_of_which_nothing_more_is_known_are_a_hole() -> None:
    report = sum_up(plan(10, 1), [landed(0, answered=7, passing={MISSING: 3})], "file:///out/manifest.json")
    assert report.problems == ["3 missing"]


def test_no_rows_are_no_problem() -> None:
    report = sum_up(plan(0, 0), [], "file:///out/manifest.json")
    assert (report.problems, report.missing) == ([], 0)


def test_the_same_shard_landed_twice_cannot_hide_a_hole() -> None:
    """Two bundles that both bring shard 0 must not make up for a shard 1 that never came."""
    report = sum_up(plan(20, 2), [landed(0), landed(0)], "file:///out/manifest.json")
    assert report.problems


def test_more_ends_than_rows_are_no_report() -> None:
    with pytest.raises(Terminal, match="10 rows were planned, and 20 have an end"):
        sum_up(plan(10, 1), [landed(0), landed(1)], "file:///out/manifest.json")
