"""Rows that wait for their vectors: each text once, the rest of its rows as twins, on disk whatever their number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import orjson
import pytest

from opensearch_batch.prepare.waiting_rows import WaitingRows
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import Place
from opensearch_batch.temporary_database import temporary_database


def record(number: int, text: int) -> Record:
    row_id = f"row-{number}"
    line = orjson.dumps([row_id, {"_text_hash": f"{text:032x}"}], option=orjson.OPT_APPEND_NEWLINE)
    return Record(row_id, f"text {text}", Place("file:///in.jsonl", number), line)


@pytest.fixture
def waiting() -> Iterator[WaitingRows]:
    with temporary_database() as db:
        yield WaitingRows(db)


def test_hashes_come_sorted_each_once_a_bounded_number_at_once(waiting: WaitingRows) -> None:
    for number in range(20):
        waiting.add(record(number, text=number % 5))
    found = list(waiting.hashes(2))
    assert [len(some) // 16 for some in found] == [2, 2, 1]
    assert b"".join(found).hex() == "".join(f"{text:032x}" for text in range(5))


def test_what_is_taken_is_not_left(waiting: WaitingRows) -> None:
    for number in range(9):
        waiting.add(record(number, text=number % 3))
    text = bytes.fromhex(f"{1:032x}")
    [_] = waiting.hashes(10)
    assert waiting.has(text)
    assert [row_id for row_id, _ in waiting.taken(text)] == ["row-1", "row-4", "row-7"]
    assert not waiting.has(text)
    left = {each.id: [twin.id for twin in each.twins] for each in waiting.rest()}
    assert left == {"row-0": ["row-3", "row-6"], "row-2": ["row-5", "row-8"]}


def test_a_text_of_very_many_rows_takes_no_memory(waiting: WaitingRows) -> None:
    count = 50_000
    for number in range(count):
        waiting.add(record(number, text=0))
    list(waiting.hashes(10))
    tracemalloc.start()
    try:
        [only] = waiting.rest()
        assert sum(1 for _ in only.twins) == len(only.twins) == count - 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000
