"""Reconcile: a shard's answers against the shard's rows, so that every row has exactly an answer or a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from opensearch_batch.errors import ReasonsUnread, UnknownAnswer
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Example
from opensearch_batch.land.vectors import BAD_VECTOR, ZERO_VECTORS, is_zero, usual_length, why_bad
from opensearch_batch.prepare.grouping import Groups, by_row
from opensearch_batch.providers.protocol import Provider, UnreadableLine

REASONS_UNREAD = "reasons_unread"
"""Code of a row without an answer in a job whose file of reasons cannot be read."""

NO_ANSWERS = frozenset({"no_output", "no_vector"})
"""Codes of rows that the vendor counts as answered."""

MISSING = "missing"
"""Code of a row without a line, in a job ended well."""

OTHER_DIMENSIONS = "other_dimensions"
"""Code of a row whose vector is longer or shorter than the job's first vector."""

NAMED = 10
"""So many ids of every kind of trouble are named; all ids are counted."""

UNREAD = (
    "Nothing of the job landed, and none of its rows is sent again. Its files stay at the provider: once a version "
    "reads them, clear fetch_output; to clear submit_batch would not help."
)
"""What follows where a job's output as a whole is not understood."""

EXAMPLES_A_CODE = 3
MESSAGE_CHARACTERS = 300
"""Of the provider's words in an example; the failures file has the whole text."""


@dataclass
class Tally:
    """Counts of rows, filled by `join`. With `repair`, rows failed for a passing reason and missing rows count as
    `passing` only: a later round has the rows.
    """

    repair: bool = False

    answered: int = 0
    failed: int = 0
    missing: int = 0
    duplicates: int = 0
    foreign: int = 0
    unreadable: int = 0
    first_unreadable: str = ""
    replied: int = 0
    """Requests that the vendor answered, the answers that are no answers included."""
    reasons_unread: str = ""
    zero_vectors: int = 0
    usage: Usage = field(default_factory=Usage)
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    passing: dict[str, int] = field(default_factory=dict)

    def hands_on(self, failure: Failure) -> bool:
        return self.repair and failure.passing

    def count(self, failure: Failure) -> Failure:
        if self.hands_on(failure):
            self.passing[failure.code] = self.passing.get(failure.code, 0) + 1
        elif failure.code == MISSING:
            self.missing += 1
            self.name(MISSING, failure.id)
        else:
            self.fail(failure)
        return failure

    def land(self, answer: Answer) -> None:
        self.answered += 1
        self.usage += answer.usage
        if is_zero(answer):
            self.zero_vectors += 1
            self.name(ZERO_VECTORS, answer.id)

    def cannot_read(self, line: int, why: str) -> None:
        self.unreadable += 1
        self.first_unreadable = self.first_unreadable or f"line {line}: {why}"

    def name(self, trouble: str, row_id: str) -> None:
        if len(ids := self.named.setdefault(trouble, [])) < NAMED:
            ids.append(row_id)

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        self.codes[failure.code] = self.codes.get(failure.code, 0) + 1
        if self.codes[failure.code] <= EXAMPLES_A_CODE and len(self.examples) < NAMED:
            words = failure.message[:MESSAGE_CHARACTERS]
            self.examples.append(Example(failure.id, failure.code, words))


@dataclass(frozen=True)
class Failure:
    """A row without an answer, and the reason. `passing`: the provider may answer the row when sent again; `alone`:
    when sent without the rest of the request.
    """

    id: str
    code: str
    message: str
    passing: bool = False
    alone: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """In a failures file."""
        return {"id": self.id, "code": self.code, "message": self.message}


@dataclass(frozen=True)
class Fate:
    """The reason of rows without a line: the job's own end, or `MISSING`."""

    code: str = MISSING
    message: str = "the provider's job ended well, but its files have no line for this row"
    passing: bool = True


def fate(
    state: str, error_code: str | None, error_message: str | None, passes: Callable[[str], bool] = lambda code: False
) -> Fate:
    """Return the reason of rows without a line. Expired, cancelled and silently failed jobs are passing; for a job
    failed with a code `passes` decides.
    """
    if state == "completed":
        return Fate()
    return Fate(
        error_code or f"job_{state}",
        error_message or f"the provider's job ended {state} before this row was answered",
        state != "failed" or error_code is None or passes(error_code),
    )


def join(
    ids: Sequence[str],
    lines: Iterable[bytes],
    provider: Provider,
    fate: Fate,
    tally: Tally,
    groups: Groups | None = None,
    job_name: str = "the job",
    length: int | None = None,
) -> Iterator[Answer | Failure]:
    """Yield each id once, answered or failed. The first line about an id counts.

    Lines come in any order, answers before reasons. A vector of another length than was asked for (`length`), or else
    than most of the first ones, is no answer.
    Memory holds the shard's ids and one line, never all answers. `groups` are the ids by request, where requests have
    many; `job_name` stands in errors. Raise UnknownAnswer where no line can be read, or the reader itself fails: rows
    without an answer would count as missing, go again and be paid for twice.
    """
    seen = dict.fromkeys(ids, False)
    readable = 0
    replied: set[str] = set()
    answers = _read(_noting_reasons(lines, tally), provider, groups, tally, job_name)
    usual, first = (length, []) if length else usual_length(answers)
    for answer in chain(first, answers):
        readable += 1
        if (known := seen.get(answer.id)) is None:
            tally.foreign += 1
            tally.name("foreign", answer.id)
        elif known:
            tally.duplicates += 1
            tally.name("duplicates", answer.id)
        else:
            seen[answer.id] = True
            if answer.answered or answer.code in NO_ANSWERS:
                tally.replied += 1
                if groups:
                    replied.add(answer.id)
            if answer.answered:
                usual = answer.dimensions if usual is None and not why_bad(answer) else usual
                failure = _unusual(answer, usual)
                if failure is None:
                    tally.land(answer)
                    yield answer
                else:
                    yield tally.count(failure)
            else:
                yield tally.count(Failure(answer.id, answer.code, answer.message, answer.passing, answer.alone))
    if tally.unreadable and not readable:
        raise UnknownAnswer(f"{job_name}: no line of its output can be read; {tally.first_unreadable}. {UNREAD}")
    if groups:
        tally.replied = sum(not replied.isdisjoint(ids_of_one) for ids_of_one in groups.values())
    end = Fate(REASONS_UNREAD, tally.reasons_unread, passing=False) if tally.reasons_unread else fate
    for row_id, done in seen.items():
        if not done:
            yield tally.count(Failure(row_id, end.code, end.message, end.passing))


def _unusual(answer: Answer, usual: int | None) -> Failure | None:
    """Why an answer does not land: its vector, or a length that is not the job's."""
    if why := why_bad(answer):
        return Failure(answer.id, BAD_VECTOR, why)
    if answer.dimensions == usual:
        return None
    said = f"the vector has {answer.dimensions} numbers" if answer.dimensions else "a text came"
    others = f"others of this job have {usual}" if usual else "others of this job are texts"
    return Failure(answer.id, OTHER_DIMENSIONS, f"{said}, {others}")


def _noting_reasons(lines: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    """End where the answers have come and the file of the reasons cannot be read: the answers are paid for."""
    try:
        yield from lines
    except ReasonsUnread as error:
        tally.reasons_unread = str(error)


def _read(
    lines: Iterable[bytes], provider: Provider, groups: Groups | None, tally: Tally, job_name: str
) -> Iterator[Answer]:
    """Yield what the lines say; the tally counts lines, and parts of lines, that cannot be read, blank ones aside."""
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            for answer in (provider.read_line(raw),) if groups is None else by_row(provider.read_many(raw), groups):
                if answer is None:
                    tally.cannot_read(number, "a part of it has another shape")
                else:
                    yield answer
        except UnreadableLine as error:
            tally.cannot_read(number, str(error))
        except Exception as error:  # whatever it is, a reader of ours or of another package is at fault, and no row
            kind = type(error).__name__
            raise UnknownAnswer(
                f"{job_name}: the reader of provider {provider.NAME!r} failed at line {number} of the job's output: "
                f"{kind}: {error}. That is a fault of the reader, not of a row. {UNREAD}"
            ) from error


@dataclass(frozen=True)
class Left:
    """Rows handed on that no round landed; the file `failures` has the rows' earlier reasons."""

    tally: Tally
    failures: DataFile
