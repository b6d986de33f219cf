"""Lines of a job's output: a line at fault is one row's trouble, a reader at fault ends the landing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.lines import DEEP, read_answers
from opensearch_batch.land.reconcile import Tally


class Reader:
    """Reads a line as the id of its row, or fails as `fails` says."""

    NAME = "tiny"

    def __init__(self, fails: Callable[[bytes], Exception | None] = lambda raw: None) -> None:
        self._fails = fails

    def read_line(self, raw: bytes) -> Answer:
        if error := self._fails(raw):
            raise error
        return Answer(raw.decode().strip(), output="x")

    def read_many(self, raw: bytes) -> Iterator[Answer | None]:
        raise AssertionError("no request has several rows")


def read(lines: list[bytes], reader: Reader) -> tuple[list[str], Tally]:
    tally = Tally()
    return [answer.id for answer in read_answers(lines, reader, None, tally, "the job")], tally


@pytest.mark.parametrize("error", [RecursionError(), TypeError("Recursion limit reached")])
@pytest.mark.parametrize("nested", [b"[" * DEEP, b"{" * DEEP, b"[" * 100 + b"{" * (DEEP - 100)])
def test_a_line_nested_beyond_json_libraries_is_at_fault_itself(error: Exception, nested: bytes) -> None:
    ids, tally = read([b"a", nested, b"b"], Reader(lambda raw: error if raw == nested else None))
    assert (ids, tally.unreadable, tally.first_unreadable) == (["a", "b"], 1, "line 2: it is nested too deeply")


@pytest.mark.parametrize(
    ("error", "line"),
    [(RecursionError("x"), b"[" * (DEEP - 1)), (KeyError("x"), b"[" * DEEP), (TypeError("x"), b"{" * DEEP)],
)  # fmt: skip
def test_a_reader_that_fails_at_any_other_line_is_at_fault(error: Exception, line: bytes) -> None:
    with pytest.raises(UnknownAnswer, match=r"^the job: the reader of provider 'tiny' failed at line 2 .*x"):
        read([b"a", line], Reader(lambda raw: error if raw == line else None))


def test_blank_lines_are_counted_and_passed_over() -> None:
    odd = Reader(lambda raw: RecursionError() if raw.startswith(b"[") else None)
    ids, tally = read([b"\n", b"a", b" \n", b"[" * DEEP], odd)
    assert (ids, tally.first_unreadable) == (["a"], "line 4: it is nested too deeply")


def test_output_of_which_no_line_can_be_read_is_no_output() -> None:
    with pytest.raises(UnknownAnswer, match="no line of its output can be read; line 1: it is nested too deeply"):
        read([b"[" * DEEP], Reader(lambda raw: RecursionError()))
    assert read([], Reader())[0] == []
