"""Beside: a new index is filled beside the one that an alias leads to, and the alias then moves. What travels between
the tasks of such a run, and what the indices themselves keep of it.
"""

from __future__ import annotations

from msgspec import field

from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.values import Value

NAMED = 20
"""So many documents are named; all are counted."""


class Made(Value, frozen=True):
    """Kept by a new index: for which alias and by which run it was made, and `source`, the alias's index as it was
    before the first document was copied.
    """

    alias: str
    run: str
    source: IndexState


class Moved(Value, frozen=True):
    """Kept by the index that an alias was moved to: `left`, the index it was moved from, at the last look before the
    move that compared deletions too, and `here`, the index itself at the move. `back`: by a rollback. `ended`: what
    `left` took at the last moment has been carried.

    A note of an earlier version does not say that, and counts as not ended: a rollback then carries once more, after
    which a document that was deleted since may be there again, where without it one might be in neither index.
    """

    alias: str
    run: str
    left: IndexState
    here: IndexState
    back: bool = False
    ended: bool = False


class IndexNote(Value, frozen=True):
    """What an index keeps in its mapping's _meta."""

    made: Made | None = None
    moved: Moved | None = None


class NewIndex(Value, frozen=True):
    """The index that a run fills; `state` is of the empty index."""

    made: Made
    state: IndexState


class Carried(Value, frozen=True):
    """Documents brought over from one index into another. `written` were edited or new, `without_vector` of these have
    a text that the other index has no vector of; `kept` were written there later still, and stay: `named` are some.
    """

    written: int = 0
    deleted: int = 0
    without_vector: int = 0
    kept: int = 0
    named: list[str] = field(default_factory=list)

    def __add__(self, other: Carried) -> Carried:
        return Carried(
            self.written + other.written,
            self.deleted + other.deleted,
            self.without_vector + other.without_vector,
            self.kept + other.kept,
            [*self.named, *other.named][:NAMED],
        )


class CarriedOver(Value, frozen=True):
    """`until` is the source as far as its documents were carried. `without_vector` documents of the new index have a
    text and no vector of that text; `named` are the first of them.
    """

    carried: Carried
    until: IndexState
    documents: int
    vectors: int
    without_vector: int
    named: list[str]


class Swapped(Value, frozen=True):
    """The alias leads to `index` now; `kept` is the index it led to before. `documents` and `without_vector` are the
    new index's at the last check, `carried` the edits that were brought over, before the move and `after` it.
    """

    alias: str
    index: str
    kept: str
    documents: int
    without_vector: int
    carried: Carried
    after: Carried
    seconds: float = 0.0
    """So long before the answer to the move, at most, was the last look at the old index."""
    older: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        carried = self.carried + self.after
        less = f", {self.without_vector} of them without a vector" if self.without_vector else ""
        return (
            f"alias {self.alias} leads to {self.index} ({self.documents} documents{less}; {carried.written} edits and "
            f"{carried.deleted} deletions carried over); {self.kept} is kept for a rollback"
        )
