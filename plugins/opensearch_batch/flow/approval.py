"""Approval: what somebody was asked before a run is paid for, and what became of the question."""

from __future__ import annotations

from typing import Literal

from opensearch_batch.flow.values import Value

Answer = Literal["not_asked", "waiting", "approved", "rejected", "no_answer"]
"""`not_asked`: the estimate is not above the limit, or nothing is left to be paid."""


class Approval(Value, frozen=True):
    """`records` rows for `estimated_usd` were asked for: None is an unknown price. `until`, `at`: ISO 8601 times of the
    deadline and the answer. `by` is the user's name in Airflow; empty where nobody answered.
    """

    answer: Answer
    records: int
    estimated_usd: float | None
    ask_above_usd: float
    until: str = ""
    by: str = ""
    at: str = ""

    @property
    def refused(self) -> bool:
        """Whether nothing may be sent. No answer in time is a refusal."""
        return self.answer in ("rejected", "no_answer")

    @property
    def was_asked(self) -> bool:
        return self.answer != "not_asked"

    def __str__(self) -> str:
        money = "an unknown price" if self.estimated_usd is None else f"about ${self.estimated_usd:.4f}"
        what = f"{self.records} row{'' if self.records == 1 else 's'} for {money}"
        return {
            "not_asked": f"nobody was asked about {what}",
            "waiting": f"{what} wait for an approval until {self.until}",
            "approved": f"{what} approved by {self.by} at {self.at}",
            "rejected": f"{what} rejected by {self.by} at {self.at}",
            "no_answer": f"{what} not approved by anybody until {self.until}, which counts as rejected",
        }[self.answer]
