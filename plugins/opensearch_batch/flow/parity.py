"""Parity: how near the vectors in an index come to the model's online answers, and whether that is near enough."""

from __future__ import annotations

import re

from msgspec import field

from opensearch_batch.flow.values import Value

NAMED = 20
"""So many documents are named, of each kind; all are counted."""


def first_named(document: str, cosine: float) -> str:
    """Return the words of `Parity.shut` about the document that is furthest away."""
    return f", the first {document}: {cosine:.6f}"


def without_first(shut: str, document: str) -> str:
    """Return `Parity.shut` without the words of `first_named` about a document."""
    return re.sub(rf", the first {re.escape(document)}: -?\d+\.\d{{6}}", "", shut)


class Parity(Value, frozen=True, kw_only=True):
    """`compared` documents were embedded again, or one chunk each of documents with chunks; `below` of them are further
    away than the spec allows, named worst first. Cosines and `recall` (a share) are None where nothing was compared or
    searched for.

    Lengths are of the model's vectors. `doubts` say, for each index, why its space type may not suit these lengths.

    `left_out` counts sampled documents that were not compared, by reason; `left_out_ids` names some. `why_not` says
    why nothing could be compared; `shut` why the gate is shut, empty where it is open.
    """

    compared: int = 0
    least_cosine: float | None = None
    mean_cosine: float | None = None
    below: int = 0
    named: list[str] = field(default_factory=list)
    queries: int = 0
    recall: float | None = None
    least_length: float | None = None
    greatest_length: float | None = None
    doubts: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    left_out_ids: dict[str, list[str]] = field(default_factory=dict)
    why_not: str = ""
    shut: str = ""

    def __str__(self) -> str:
        if not self.compared:
            return f"parity: nothing was compared{f': {self.why_not}' if self.why_not else ''}{self._left_out()}"
        found = f", recall@10 {self.recall:.3f} of {self.queries} queries" if self.recall is not None else ""
        return (
            f"parity: {self.compared} documents embedded again, least cosine {self.least_cosine:.6f}, mean "
            f"{self.mean_cosine:.6f}, {self.below} below{found}{self._left_out()}"
        )

    def _left_out(self) -> str:
        parts = [
            f"{count} {reason} ({', '.join(self.left_out_ids.get(reason, [])[:3])}{', …' if count > 3 else ''})"
            for reason, count in self.left_out.items()
        ]
        return f"; left out: {', '.join(parts)}" if parts else ""
