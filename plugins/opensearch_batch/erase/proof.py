"""Proof: the places that were looked at, with counts. It names no document: ids are hashed with a salt of their own, so
that only a reader who has an id can see whether it was erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import field
from msgspec.structs import replace

from opensearch_batch.flow.values import Value

BEGUN = "left by a killed task: removed whole"
"""Note of a file that was begun and never completed."""

Forget = Literal["document", "text"]
Kind = Literal[
    "index",
    "provenance index",
    "provider file",
    "work file",
    "results",
    "failures",
    "unnamed file",
    "manifest",
    "reuse record",
    "checkpoint",
]


class Place(Value, frozen=True):
    """A place that was looked at. `rows` were looked through; `found` are rows of the documents, or objects with such
    rows, and `left` those of a second look after the removal.
    """

    kind: Kind
    at: str
    rows: int
    found: int
    left: int = 0
    note: str = ""


class NotRemoved(Value, frozen=True):
    """What stays, and why."""

    what: str
    why: str


class Proof(Value, frozen=True, kw_only=True):
    """`state`: planned (nothing is removed), left (a second look found rows) or erased. `documents` counts the ids;
    `hashes` are SHA-256 of salt and id.
    """

    version: int = 1
    run: str
    spec: str
    forget: Forget
    state: Literal["planned", "left", "erased"]
    began_at: str
    ended_at: str
    documents: int
    salt: str
    hashes: list[str]
    places: list[Place]
    not_removed: list[NotRemoved] = field(default_factory=list)

    @property
    def found(self) -> int:
        return sum(place.found for place in self.places)

    @property
    def left(self) -> int:
        return sum(place.left for place in self.places)

    def __str__(self) -> str:
        kinds: dict[str, int] = {}
        for place in self.places:
            kinds[place.kind] = kinds.get(place.kind, 0) + place.found
        counts = ", ".join(f"{count} in {kind}" for kind, count in kinds.items() if count) or "nothing"
        return (
            f"{self.state}: {self.documents} ids, {len(self.places)} places looked at; found {counts}; {self.left} left"
        )


def hashed_id(salt: str, row_id: str) -> str:
    """Name an id in a proof."""
    return hashlib.sha256(f"{salt}|{row_id}".encode()).hexdigest()


def compared(first: Sequence[Place], second: Iterable[Place], before: Sequence[Place] = ()) -> list[Place]:
    """Return the places of two looks, each once: found by the first, or by the first look of a killed try (`before`),
    left by the second.
    """
    known = {place.at: place for place in before}
    for place in first:
        if place.at not in known or place.found > known[place.at].found:
            known[place.at] = place
    for place in second:
        known[place.at] = replace(known.get(place.at, replace(place, found=0)), left=place.found)
    return sorted(known.values(), key=lambda place: (place.kind, place.at))
