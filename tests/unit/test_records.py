"""Records: each row of the input checked, and named by file and line when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from opensearch_batch.errors import InputError
from opensearch_batch.sources.records import Record, read_records
from opensearch_batch.storage import SourceLine

URI = "file:///in.jsonl"


def lines(*raws: bytes, uri: str = URI) -> Iterable[SourceLine]:
    return [SourceLine(raw, uri, number) for number, raw in enumerate(raws, start=1)]


def read(*raws: bytes, id_field: str = "id", text_field: str = "text", prompt: str | None = None) -> list[Record]:
    return list(read_records(lines(*raws), id_field=id_field, text_field=text_field, prompt=prompt))


def test_rows_come_in_order_with_id_and_text() -> None:
    found = read(b'{"id": "a", "text": "one"}\n', b'{"id": "b", "text": "two"}')
    assert [(record.id, record.text, record.line.number) for record in found] == [("a", "one", 1), ("b", "two", 2)]


def test_blank_lines_are_passed_over_and_still_counted() -> None:
    found = read(b"\n", b'{"id": "a", "text": "one"}\n', b"  \r\n", b'{"id": "b", "text": "two"}\r\n')
    assert [(record.id, record.line.number) for record in found] == [("a", 2), ("b", 4)]


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
        (b'{"id": "b", "body": "x"}', "line 2: the row has no text in 'text' (it has body, id)"),
        (b'{"id": "b", "text": 5}', "line 2: the row has no text in 'text' (it is int)"),
        (b'{"id": "b", "text": null}', "line 2: the row has no text in 'text' (it is NoneType)"),
        (b'{"id": "b", "text": ""}', "line 2: the text in 'text' is empty"),
        (b'{"id": "b", "text": " \\n\\t"}', "line 2: the text in 'text' is empty"),
    ],
)
def test_a_wrong_row_is_refused_with_file_line_and_reason(raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{URI} {message}")):
        read(b'{"id": "a", "text": "fine"}\n', raw)


def test_a_byte_order_mark_of_the_file_is_named() -> None:
    with pytest.raises(InputError, match=re.escape(f"{URI} line 1: starts with a byte order mark")):
        read(b'\xef\xbb\xbf{"id": "a", "text": "x"}')


def test_a_repeated_id_is_refused_with_both_places() -> None:
    first, second = (
        lines(b'{"id": "a", "text": "x"}', uri="file:///1.jsonl"),
        lines(b'{"id": "b", "text": "x"}', b'{"id": "a", "text": "y"}', uri="file:///2.jsonl"),
    )
    with pytest.raises(
        InputError, match=r"file:///2\.jsonl line 2: id 'a' was already used at file:///1\.jsonl line 1"
    ):
        list(read_records([*first, *second], id_field="id", text_field="text"))


def test_a_number_and_its_text_are_one_id() -> None:
    with pytest.raises(InputError, match="line 2: id '1' was already used"):
        read(b'{"id": 1, "text": "x"}', b'{"id": "1", "text": "y"}')


def test_rows_before_a_wrong_one_are_read_lazily() -> None:
    found = read_records(lines(b'{"id": "a", "text": "x"}', b"broken"), id_field="id", text_field="text")
    assert next(iter(found)).id == "a"
    with pytest.raises(InputError):
        next(iter(found))


def test_a_prompt_replaces_the_text() -> None:
    (record,) = read(b'{"id": "a", "title": "T", "n": 3}', prompt="Summarise {title} in {n} words")
    assert record.text == "Summarise T in 3 words"


@pytest.mark.parametrize("prompt", ["{titel}", "{title.nope}", "{title[3]}"])
def test_a_prompt_over_a_missing_field_is_refused_with_the_fields_there_are(prompt: str) -> None:
    with pytest.raises(InputError, match=r"line 1: the prompt asks for .*the row has id, title"):
        read(b'{"id": "a", "title": {"k": 1}}', prompt=prompt)


def test_a_prompt_that_comes_out_empty_is_refused_like_an_empty_text() -> None:
    with pytest.raises(InputError, match=r"line 1: .*empty"):
        read(b'{"id": "a", "text": " "}', prompt="{text}")
