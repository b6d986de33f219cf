"""Written: what became of a run's vectors in the index."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, UnsetType, field

from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.values import Value

NAMED = 20
"""So many documents are named; all are counted."""


class Written(Value, frozen=True):
    """Counts of documents. `written` have the vector; `superseded` were edited and `deleted` were removed since they
    were read: none of these was touched, and the next run reads an edited document anew. `refused` counts by the
    server's type of error.
    """

    written: int = 0
    superseded: int = 0
    deleted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    results: str | UnsetType = UNSET
    """The results file that the vectors are from; unset for a sum."""

    @property
    def documents(self) -> int:
        """All documents of which the end is known."""
        return self.written + self.superseded + self.deleted + sum(self.refused.values())

    def __str__(self) -> str:
        changed = f", {self.superseded} edited and {self.deleted} deleted meanwhile: left alone"
        refused = f", {sum(self.refused.values())} refused ({self.refused})" if self.refused else ""
        return f"{self.written} vectors in the index{changed if self.superseded or self.deleted else ''}{refused}"


def added(parts: Iterable[Written]) -> Written:
    total, refused = Written(), dict[str, int]()
    for part in parts:
        for kind, count in part.refused.items():
            refused[kind] = refused.get(kind, 0) + count
        total = Written(
            total.written + part.written,
            total.superseded + part.superseded,
            total.deleted + part.deleted,
            refused,
            [*total.named, *part.named][:NAMED],
            [*total.examples, *part.examples][:NAMED],
        )
    return total
