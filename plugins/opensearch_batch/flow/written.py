"""Written: what became of a run's vectors in the index."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, UnsetType, field

from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.values import Value

NAMED = 20
"""So many documents are named; all are counted."""


class Written(Value, frozen=True):
    """Counts of documents. `written` have the vector; `superseded` have another text, or the vector of a later run,
    since they were read, and `deleted` were removed: none of these was touched, and the next run reads an edited
    document anew. `refused` counts by the
    server's type of error. `incomplete` documents were left alone because a chunk of theirs has no vector; `chunks` are
    the vectors of all documents, unset where a document has one.
    """

    written: int = 0
    superseded: int = 0
    deleted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    results: str | UnsetType = UNSET
    """The results file that the vectors are from; unset for a sum, and for the chunks of all files."""
    chunks: int | UnsetType = UNSET
    incomplete: int | UnsetType = UNSET

    @property
    def documents(self) -> int:
        """All documents of which the end is known."""
        return self.written + self.superseded + self.deleted + (self.incomplete or 0) + sum(self.refused.values())

    @property
    def vectors(self) -> int:
        """All vectors of which the end is known."""
        return self.documents if isinstance(self.chunks, UnsetType) else self.chunks

    def __str__(self) -> str:
        changed = f", {self.superseded} edited and {self.deleted} deleted meanwhile: left alone"
        refused = f", {sum(self.refused.values())} refused ({self.refused})" if self.refused else ""
        what = f"{self.written} vectors"
        if self.chunks is not UNSET:
            what = f"{self.written} documents, of {self.documents} with {self.chunks} chunks,"
            refused += f", {self.incomplete} without the vector of a chunk: left alone" if self.incomplete else ""
        return f"{what} in the index{changed if self.superseded or self.deleted else ''}{refused}"


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
            chunks=_sum(total.chunks, part.chunks),
            incomplete=_sum(total.incomplete, part.incomplete),
        )
    return total


def _sum(one: int | UnsetType, other: int | UnsetType) -> int | UnsetType:
    return (one or 0) + (other or 0) if one is not UNSET or other is not UNSET else UNSET
