"""Lines: each check is ok, not ok with what to do, or not to be known from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from opensearch_batch.errors import BatchError

Mark = Literal["ok", "?", "NOT OK"]


class CannotKnow(Exception):
    """The check cannot be made from here; the text says who can, or what to see to."""


@dataclass(frozen=True)
class Check:
    """`ask` returns what was found; raises BatchError where something is not ok, CannotKnow otherwise."""

    what: str
    ask: Callable[[], str]


@dataclass(frozen=True)
class Line:
    what: str
    mark: Mark
    said: str

    def __str__(self) -> str:
        first, *rest = self.said.splitlines() or [""]
        return "\n".join([f"{self.mark:<7} {self.what}: {first}", *(f"        {line}" for line in rest)])


def lines(groups: Iterable[Sequence[Check]]) -> Iterator[Line]:
    """Ask in order. In a group a check needs those before it, so the first that is not ok ends the group."""
    for group in groups:
        for check in group:
            yield (line := line_of(check))
            if line.mark == "NOT OK":
                break


def line_of(check: Check) -> Line:
    try:
        return Line(check.what, "ok", check.ask())
    except CannotKnow as unknown:
        return Line(check.what, "?", str(unknown))
    except BatchError as error:
        return Line(check.what, "NOT OK", str(error))
