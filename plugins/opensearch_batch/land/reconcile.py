"""Reconcile: a shard's answers against the shard's rows, so that every row has exactly an answer or a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from opensearch_batch.errors import ReasonsUnread
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Example
from opensearch_batch.land.lines import Reader, read_answers
from opensearch_batch.land.vectors import is_vector, is_zero, words_of
from opensearch_batch.prepare.grouping import Groups
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.unsigned import unsigned

REASONS_UNREAD = "reasons_unread"
"""Code of a row without an answer in a job whose file of reasons cannot be read."""

INVALID_OUTPUT = "invalid_output"
"""Code of a row whose answer does not fit the output schema; a repair round asks again."""

NO_ANSWERS = frozenset({"no_output", "no_vector", INVALID_OUTPUT})
"""Codes of rows that the vendor counts as answered."""

MISSING = "missing"
"""Code of a row without a line, in a job ended well."""

NOT_A_VECTOR = "not_a_vector"
"""Code of a row whose answer should be a vector, and is no list of finite numbers. The row is not sent again."""

OTHER_DIMENSIONS = "other_dimensions"
"""Code of a row whose vector has another length than the length asked for, or than most first vectors of the job."""

FIRST = 16
"""So many first answers of a job decide the length of its vectors, where the request names no length."""

ZERO_VECTORS, TRUNCATED = "zero_vectors", "truncated"
"""Answers with a mark: vectors refused by an index with cosine similarity, texts ended by a limit of tokens."""

NAMED = 10
"""So many ids of every kind of trouble are named; all ids are counted."""

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
    usage: Usage = field(default_factory=Usage)
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    passing: dict[str, int] = field(default_factory=dict)
    zero_vectors: int = 0
    truncated: int = 0

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

    def take(self, answer: Answer) -> Answer:
        self.answered += 1
        self.usage += answer.usage
        if answer.truncated:
            self.truncated += 1
            self.name(TRUNCATED, answer.id)
        elif answer.vector is not None and is_zero(answer):
            self.zero_vectors += 1
            self.name(ZERO_VECTORS, answer.id)
        return answer

    def again(self, row: Answer | Failure, twin: str) -> Answer | Failure:
        """Count a twin, by its id, as the row that was sent, and return its own end; the usage counts once."""
        if isinstance(row, Answer):
            return self.take(msgspec.structs.replace(row, id=twin, usage=Usage()))
        return self.count(replace(row, id=twin, twin_of=row.id))

    def cannot_read(self, line: int, why: str) -> None:
        self.unreadable += 1
        self.first_unreadable = self.first_unreadable or f"line {line}: {scrubbed(why)}"

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
    when sent without the rest of the request. `twin_of` is the row that was sent in its place; `output` the answer that
    does not fit the output schema.
    """

    id: str
    code: str
    message: str
    passing: bool = False
    alone: bool = False
    twin_of: str | None = None
    output: str | None = None

    @property
    def line(self) -> dict[str, Any]:
        """In a failures file."""
        output = {} if self.output is None else {"output": self.output}
        return {"id": self.id, "code": self.code, "message": self.message, **output}

    @property
    def handed_on(self) -> dict[str, Any]:
        """In a file of rows for a repair round."""
        twin_of = {} if self.twin_of is None else {"twin_of": self.twin_of}
        return {**self.line, "alone": self.alone, **twin_of}


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


ANY = Asked()
Check = Callable[[Answer], Answer]


def join(
    ids: Sequence[str],
    lines: Iterable[bytes],
    provider: Reader,
    fate: Fate,
    tally: Tally,
    groups: Groups | None = None,
    job_name: str = "the job",
    asked: Asked = ANY,
    check: Check | None = None,
) -> Iterator[Answer | Failure]:
    """Yield every id once, answered or failed. The first line about an id counts.

    Lines come in any order, answers before reasons. `asked` or else the majority of the FIRST answers tells the length
    of the vectors; a vector of a different length is no answer. Memory holds the shard's ids, the FIRST answers and a
    line, never all answers. `groups` are the ids by request, where requests have many; `job_name` stands in errors;
    `check` is that of an output schema (land/output_check.py).
    Raise UnknownAnswer where no line can be read, or the reader itself fails: rows without an answer would count as
    missing, go again and be paid for twice.
    """
    seen = dict.fromkeys(ids, False)
    answers = read_answers(_noting_reasons(lines, tally), provider, groups, tally, job_name)
    checked = answers if check is None else map(check, answers)
    yield from _judged(_first_about(seen, checked, groups, tally), asked, tally)
    end = Fate(REASONS_UNREAD, tally.reasons_unread, passing=False) if tally.reasons_unread else fate
    for row_id, done in seen.items():
        if not done:
            yield tally.count(Failure(row_id, end.code, end.message, end.passing))


def _first_about(
    seen: dict[str, bool], answers: Iterable[Answer], groups: Groups | None, tally: Tally
) -> Iterator[Answer]:
    """Yield the first answer about each id, and mark the id as seen; others are foreign or duplicates."""
    replied: set[str] = set()
    for answer in answers:
        if (known := seen.get(answer.id)) is None:
            tally.foreign += 1
            tally.name("foreign", scrubbed(answer.id))
        elif known:
            tally.duplicates += 1
            tally.name("duplicates", answer.id)
        else:
            seen[answer.id] = True
            if answer.answered or answer.replied or answer.code in NO_ANSWERS:
                tally.replied += 1
                if groups:
                    replied.add(answer.id)
            yield answer
    if groups:
        tally.replied = sum(not replied.isdisjoint(ids_of_one) for ids_of_one in groups.values())


def _judged(answers: Iterable[Answer], asked: Asked, tally: Tally) -> Iterator[Answer | Failure]:
    """Yield each answer, or why it is none. Where no length was asked for, the FIRST answers wait until they tell."""
    dimensions = _dimensions_of(asked)
    first: list[Answer] = []
    for answer in answers:
        if failure := _without_answer(answer, asked):
            tally.usage += answer.usage
            yield tally.count(failure)
        elif dimensions is not None:
            yield _of_length(dimensions, answer, asked, tally)
        else:
            first.append(answer)
            if len(first) == FIRST:
                dimensions = _most_common(first)
                yield from (_of_length(dimensions, each, asked, tally) for each in first)
                first.clear()
    if first:
        dimensions = _most_common(first)
        yield from (_of_length(dimensions, each, asked, tally) for each in first)


def _noting_reasons(lines: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    """End where the answers have come and the file of the reasons cannot be read: the answers are paid for."""
    try:
        yield from lines
    except ReasonsUnread as error:
        tally.reasons_unread = str(error)


def _dimensions_of(asked: Asked) -> int | None:
    """Length asked for: 0 for texts; None where the first answers decide."""
    return 0 if asked.vectors is False else asked.dimensions


def _without_answer(answer: Answer, asked: Asked) -> Failure | None:
    """Return the provider's reason, or say why the answer is no vector; None for an answer."""
    if not answer.answered:
        code, message = scrubbed(answer.code), unsigned(scrubbed(answer.message))
        raw = None if answer.value is None else scrubbed(answer.value)
        return Failure(answer.id, code, message, answer.passing, answer.alone, output=raw)
    if is_vector(answer) or (answer.vector is None and not asked.vectors):
        return None
    words = words_of(answer, MESSAGE_CHARACTERS)
    return Failure(answer.id, NOT_A_VECTOR, f"instead of a list of finite numbers came: {words}")


def _most_common(answers: Sequence[Answer]) -> int:
    """Length of most vectors; of equally many, the first length."""
    return Counter(answer.dimensions for answer in answers).most_common(1)[0][0]


def _of_length(dimensions: int, answer: Answer, asked: Asked, tally: Tally) -> Answer | Failure:
    if answer.dimensions == dimensions:
        return tally.take(answer)
    named = asked.dimensions is not None
    others = f"{dimensions} were asked for" if named else f"others of this job have {dimensions}"
    return tally.count(Failure(answer.id, OTHER_DIMENSIONS, f"the vector has {answer.dimensions} numbers, {others}"))


@dataclass(frozen=True)
class Left:
    """Rows handed on that no round landed, or rows never sent; the file `failures` has the reasons."""

    tally: Tally
    failures: DataFile
