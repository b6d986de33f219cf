"""How fast a job walks through its states: at once, every n status reads, or by the clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """`instant`, `polls:N` (one state further every N status reads) or `clock:SECONDS` (for the whole way)."""

    kind: str
    amount: float

    @classmethod
    def parse(cls, text: str) -> Pace:
        kind, _, amount = text.partition(":")
        if kind == "instant" and not amount:
            return cls(kind, 0)
        try:
            number = float(amount)
        except ValueError:
            number = -1
        if kind == "polls" and number >= 1 and number == int(number):
            return cls(kind, number)
        if kind == "clock" and number >= 0:
            return cls(kind, number)
        raise ValueError(f"pace {text!r}: use instant, polls:N with N >= 1, or clock:SECONDS")

    def steps(self, reads: int, seconds: float, of: int) -> int:
        """How many of `of` steps are due after so many status reads and seconds."""
        if self.kind == "polls":
            return min(of, reads // int(self.amount))
        if self.kind == "clock" and self.amount > 0:
            return min(of, int(seconds / self.amount * of))
        return of

    def __str__(self) -> str:
        return "instant" if self.kind == "instant" else f"{self.kind}:{self.amount:g}"
