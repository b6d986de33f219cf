"""Stragglers: the open rows, which no batch has answered in time, and what became of them online."""

from __future__ import annotations

from opensearch_batch.flow.values import Value


def asked_mark(handed_on_uri: str) -> str:
    """URI of the object that says: rows of this file may have been asked online, so no batch may have them again."""
    return f"{handed_on_uri.removesuffix('.jsonl')}.online.json"


def sent_mark(handed_on_uri: str) -> str:
    """URI of the object that says: a repair round's batch may have the rows of this file, so none is asked online."""
    return f"{handed_on_uri.removesuffix('.jsonl')}.sent.json"


class Stragglers(Value, frozen=True):
    """`rows` were open, each text once. `answered` are the answers that have landed, of earlier tries too; `refused`
    were asked without a result: no answer came, or one that does not land; `unaskable` are not to be asked online. The
    rest was not asked, and `why_not` says why.

    `tokens` are those of all answers that were paid for: the vendor's count where its answer has one, else bytes / 4.
    Money is in US dollars, at the list price: `estimated_usd` of all rows, with the longest answers that they may have,
    `usd` of the answers that were paid for, None where the price is not known.
    """

    rows: int
    answered: int
    refused: int
    unaskable: int
    tokens: int
    estimated_usd: float | None
    usd: float | None
    limit_usd: float
    why_not: str = ""

    def __str__(self) -> str:
        money = (
            ""
            if self.usd is None or not (self.usd or self.answered)
            else f" for about ${self.usd:.4f} at the list price"
        )
        extra = "".join(
            f", {n} {kind}"
            for n, kind in ((self.refused, "asked without a result"), (self.unaskable, "not to be asked online"))
            if n
        )
        why = f"; {self.why_not}" if self.why_not else ""
        return f"stragglers: {self.answered} of {self.rows} rows answered online{money}{extra}{why}"
