"""Reconcile: a shard's answers against its rows, so that each row has exactly one answer or one reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.prepare.grouping import Groups, by_row
from opensearch_batch.providers.protocol import Provider

MISSING = "missing"
"""Code of a row that the provider never spoke of, in a job that ended well."""

OTHER_DIMENSIONS = "other_dimensions"
"""Code of a row whose vector is longer or shorter than the job's first one."""

NAMED = 10
"""So many ids of each kind of trouble are named; all of them are counted."""

EXAMPLES_A_CODE = 3
MESSAGE_CHARACTERS = 300
"""Of the provider's words in an example; the failures file has them whole."""


@dataclass
class Tally:
    """Counts rows while `join` goes over them. With `repair`, rows that failed for a passing reason, or are missing,
    count as `passing` and nowhere else: a later round has them.
    """

    repair: bool = False

    answered: int = 0
    failed: int = 0
    missing: int = 0
    duplicates: int = 0
    foreign: int = 0
    unreadable: int = 0
    usage: Usage = field(default_factory=Usage)
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
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

    def name(self, trouble: str, row_id: str) -> None:
        if len(ids := self.named.setdefault(trouble, [])) < NAMED:
            ids.append(row_id)

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        self.codes[failure.code] = self.codes.get(failure.code, 0) + 1
        if self.codes[failure.code] <= EXAMPLES_A_CODE and len(self.examples) < NAMED:
            words = failure.message[:MESSAGE_CHARACTERS]
            self.examples.append({"id": failure.id, "code": failure.code, "message": words})


@dataclass(frozen=True)
class Failure:
    """A row without an answer, and why. `passing`: it may be answered when it is sent again; `alone`: if it is sent
    without the other rows of its request.
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
    """Why rows without a line have none: the job's own end, or `MISSING`."""

    code: str = MISSING
    message: str = "the provider's job ended well, but its files have no line for this row"
    passing: bool = True


def fate(
    state: str, error_code: str | None, error_message: str | None, passes: Callable[[str], bool] = lambda code: False
) -> Fate:
    """Jobs that expired, were cancelled or failed without a word are passing; one that failed says by its code."""
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
) -> Iterator[Answer | Failure]:
    """Yield each id once, answered or failed. The first line about an id counts.

    Lines come in any order, answers before reasons. A vector of another length than the first one's is no answer.
    Memory holds the shard's ids and one line, never all answers. `groups` are the ids by request, where requests have
    many.
    """
    seen = dict.fromkeys(ids, False)
    dimensions = 0
    for answer in _read(lines, provider, groups):
        if answer is None:
            tally.unreadable += 1
        elif (known := seen.get(answer.id)) is None:
            tally.foreign += 1
            tally.name("foreign", answer.id)
        elif known:
            tally.duplicates += 1
            tally.name("duplicates", answer.id)
        else:
            seen[answer.id] = True
            length = answer.dimensions
            dimensions = dimensions or length
            if answer.answered and length == dimensions:
                tally.answered += 1
                tally.usage += answer.usage
                yield answer
            elif answer.answered:
                said = f"the vector has {length} numbers, others of this job have {dimensions}"
                yield tally.count(Failure(answer.id, OTHER_DIMENSIONS, said))
            else:
                yield tally.count(Failure(answer.id, answer.code, answer.message, answer.passing, answer.alone))
    for row_id, done in seen.items():
        if not done:
            yield tally.count(Failure(row_id, fate.code, fate.message, fate.passing))


def _read(lines: Iterable[bytes], provider: Provider, groups: Groups | None) -> Iterator[Answer | None]:
    """None for a line, or a part of one, that cannot be read. Blank lines are passed over."""
    for raw in lines:
        if not raw.strip():
            continue
        try:
            if groups is None:
                yield provider.read_line(raw)
            else:
                yield from by_row(provider.read_many(raw), groups)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            yield None


@dataclass(frozen=True)
class Left:
    """Rows handed on to a round that did not land them: their earlier reasons, in the file `failures`, are the last."""

    tally: Tally
    failures: dict[str, Any]
