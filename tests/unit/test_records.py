"""Records: each row of the input checked, and named by file, line and reason when it is wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from opensearch_batch.sources.json_lines import json_rows
from opensearch_batch.sources.records import Record, read_records
from opensearch_batch.sources.rows import BadRow
from opensearch_batch.storage import SourceLine

URI = "file:///in.jsonl"
DEEP = b"[" * 1000 + b"]" * 1000


def lines(*raws: bytes, uri: str = URI) -> Iterable[SourceLine]:
    return [SourceLine(raw, uri, number) for number, raw in enumerate(raws, start=1)]


def all_of(
    given: Iterable[SourceLine], id_field: str = "id", text_field: str = "text", prompt: str | None = None
) -> list[Record | BadRow]:
    return list(read_records(json_rows(given), id_field=id_field, text_field=text_field, prompt=prompt))


def read(*raws: bytes, **fields: str) -> list[Record]:
    found = all_of(lines(*raws), **fields)
    good = [row for row in found if isinstance(row, Record)]
    assert good == found
    return good


def bad(*raws: bytes, **fields: str) -> list[str]:
    return [str(row) for row in all_of(lines(*raws), **fields) if isinstance(row, BadRow)]


def test_rows_come_in_order_with_id_and_text() -> None:
    found = read(b'{"id": "a", "text": "one"}\n', b'{"id": "b", "text": "two"}')
    assert [(record.id, record.text, record.place.number) for record in found] == [("a", "one", 1), ("b", "two", 2)]


def test_blank_lines_are_passed_over_and_still_counted() -> None:
    found = read(b"\n", b'{"id": "a", "text": "one"}\n', b"  \r\n", b'{"id": "b", "text": "two"}\r\n')
    assert [(record.id, record.place.number) for record in found] == [("a", 2), ("b", 4)]


def test_no_lines_are_no_records() -> None:
    assert read() == []


def test_whole_numbers_are_ids_and_other_fields_can_be_named() -> None:
    found = read(b'{"key": 7, "body": "x"}', b'{"key": 0, "body": "y"}', id_field="key", text_field="body")
    assert [(record.id, record.text) for record in found] == [("7", "x"), ("0", "y")]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"id": "b", "text": ', "line 2: not JSON: "),
        (b'{"id": "b"} trailing', "line 2: not JSON: "),
        (b'{"id": "b", "text": "caf\xe9"}', "line 2: not UTF-8 (byte 24: 0xe9)"),
        (b'\xef\xbb\xbf{"id": "b", "text": "x"}', "line 2: starts with a byte order mark"),
        (b'["b", "x"]', "line 2: a row must be a JSON object, not list"),
        (b'"text"', "line 2: a row must be a JSON object, not str"),
        (b"null", "line 2: a row must be a JSON object, not NoneType"),
        (b'{"text": "x"}', "line 2: the row has no 'id'; an id is text or a whole number"),
        (b'{"id": null, "text": "x"}', "line 2: the row has None as 'id'"),
        (b'{"id": "", "text": "x"}', "line 2: the row has '' as 'id'"),
        (b'{"id": " ", "text": "x"}', "line 2: the row has ' ' as 'id'"),
        (b'{"id": 1.5, "text": "x"}', "line 2: the row has 1.5 as 'id'"),
        (b'{"id": true, "text": "x"}', "line 2: the row has True as 'id'"),
        (b'{"id": ["b"], "text": "x"}', "line 2: the row has ['b'] as 'id'"),
        (b'{"id": "a\\u0000b", "text": "x"}', "line 2: the id in 'id' has a NUL"),
        (b'{"id": %s, "text": "x"}' % DEEP, "line 2: the row has [[[[[[[...]]]]]]] as 'id'"),
        (b'{"id": "b", "text": %s}' % DEEP, "line 2: the row has no text in 'text' (it is list)"),
        (b'{"id": "b", "text": %s}' % (b"[" * 100_000), "line 2: not JSON: "),
        (DEEP, "line 2: a row must be a JSON object, not list"),
        (b'{"id": "b", "body": "x"}', "line 2: the row has no text in 'text' (it has body, id)"),
        (b'{"id": "b", "text": 5}', "line 2: the row has no text in 'text' (it is int)"),
        (b'{"id": "b", "text": null}', "line 2: the row has no text in 'text' (it is NoneType)"),
        (b'{"id": "b", "text": ""}', "line 2: the text in 'text' is empty"),
        (b'{"id": "b", "text": " \\n\\t"}', "line 2: the text in 'text' is empty"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_reason(raw: bytes, message: str) -> None:
    (named,) = bad(b'{"id": "a", "text": "fine"}\n', raw)
    assert named.startswith(f"{URI} {message}")


def test_a_byte_order_mark_of_the_file_is_named() -> None:
    (named,) = bad(b'\xef\xbb\xbf{"id": "a", "text": "x"}')
    assert named.startswith(f"{URI} line 1: starts with a byte order mark")


def test_a_repeated_id_is_named_with_both_places_and_belongs_to_the_first_row() -> None:
    first, second = (
        lines(b'{"id": "a", "text": "x"}', uri="file:///1.jsonl"),
        lines(b'{"id": "b", "text": "x"}', b'{"id": "a", "text": "y"}', uri="file:///2.jsonl"),
    )
    *_, repeated = all_of([*first, *second])
    assert isinstance(repeated, BadRow)
    assert str(repeated).startswith("file:///2.jsonl line 2: id 'a' was already used at file:///1.jsonl line 1")
    assert repeated.id is None


def test_a_bad_row_keeps_its_id_and_no_other_row_may_have_it() -> None:
    found = all_of(lines(b'{"id": "a", "text": ""}', b'{"id": "a", "text": "x"}'))
    assert [row.id for row in found] == ["a", None]
    assert all(isinstance(row, BadRow) for row in found)


def test_a_number_and_its_text_are_one_id() -> None:
    (named,) = bad(b'{"id": 1, "text": "x"}', b'{"id": "1", "text": "y"}')
    assert "line 2: id '1' was already used" in named


def test_rows_come_as_they_are_read_and_go_on_after_a_wrong_one() -> None:
    found = all_of(lines(b'{"id": "a", "text": "x"}', b"broken", b'{"id": "b", "text": "y"}'))
    assert [type(row) for row in found] == [Record, BadRow, Record]


def test_a_prompt_replaces_the_text() -> None:
    (record,) = read(b'{"id": "a", "title": "T", "n": 3}', prompt="Summarise {title} in {n} words")
    assert record.text == "Summarise T in 3 words"


def test_a_prompt_over_a_field_nested_too_deeply_is_a_wrong_row() -> None:
    (named,) = bad(b'{"id": "a", "about": %s}' % DEEP, prompt="About {about}")
    assert "line 1: a field of the prompt is nested too deeply" in named


@pytest.mark.parametrize("prompt", ["{titel}", "{title.nope}", "{title[3]}", "{tags[first]}"])
def test_a_prompt_over_a_missing_field_is_named_with_the_fields_there_are(prompt: str) -> None:
    (named,) = bad(b'{"id": "a", "title": {"k": 1}, "tags": []}', prompt=prompt)
    assert named.startswith(f"{URI} line 1: the prompt asks for ")
    assert named.endswith("the row has id, tags, title")


def test_a_prompt_that_comes_out_empty_is_named_like_an_empty_text() -> None:
    (named,) = bad(b'{"id": "a", "text": " "}', prompt="{text}")
    assert "line 1: the text of the prompt is empty" in named


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("{title}\n{body}", "\nAnts"),
        ("{about[by]}: {body}", ": Ants"),
        ("{tags[1]}{body}", "Ants"),
        ("{title:>3}{body}", "   Ants"),
        ("{body} {title!r}", "Ants ''"),
    ],
)
def test_a_null_is_empty_in_a_prompt(prompt: str, text: str) -> None:
    (record,) = read(
        b'{"id": "a", "title": null, "body": "Ants", "about": {"by": null}, "tags": ["x", null]}', prompt=prompt
    )
    assert record.text == text


def test_a_prompt_of_nulls_alone_is_empty() -> None:
    (named,) = bad(b'{"id": "a", "title": null, "about": {"by": null}}', prompt="{title}\n{about[by]}")
    assert "line 1: the text of the prompt is empty" in named
