"""Indices that runs have made beside an alias, and those that they have left there: they have the documents too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from opensearch_batch.beside.notes import note_of
from opensearch_batch.cluster.described import Send, described
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.sources.index_rows import SCHEME, address_of


@dataclass(frozen=True)
class MadeIndex:
    """An index that a run has made beside an alias. `kept` are those from which it was made, or the alias moved.
    `is_used`: the alias has moved to it, or somebody has put it under another.
    """

    name: str
    alias: str
    run: str
    kept: frozenset[str]
    is_used: bool

    @property
    def key(self) -> str:
        """The run's key in its name, which names the run's folder too."""
        return self.name.rpartition("-")[2]


def made_indices(send: Send, aliases: Collection[str]) -> list[MadeIndex]:
    """Return the indices of which the notes say that they were made beside one of some aliases; runs name them after
    the alias. Raise Refused where this user may not see all indices of such names.
    """
    patterns = ",".join(f"{alias.lower()}-*" for alias in sorted(aliases))
    found = described(send, patterns, "open,closed,hidden") if aliases else {}
    made = []
    for name, about in sorted(found.items()):
        note = note_of(about)
        if note.made and note.made.alias in aliases:
            kept = {note.made.source.index, *([note.moved.left.index] if note.moved else [])}
            is_used = note.moved is not None or bool(about["aliases"])
            made.append(MadeIndex(name, note.made.alias, note.made.run, frozenset(kept), is_used))
    return made


def kept_indices(manifests: Iterable[Manifest], made: Iterable[MadeIndex], connection: str, send: Send) -> list[str]:
    """Return the indices of swaps, and of changes that were given up, by the manifests and the indices' own notes;
    those that are still there.
    """
    names = {name for manifest in manifests for name in _named(manifest, connection)}
    names |= {name for each in made for name in (each.name, *each.kept)}
    return [name for name in sorted(names) if name in described(send, name)]


def _named(manifest: Manifest, connection: str) -> Iterator[str]:
    spec: dict[str, Any] = manifest.spec
    uri = str(spec.get("input", {}).get("uri", ""))
    if (spec.get("write_back") or {}).get("mode") != "beside" or not uri.startswith(SCHEME):
        return
    at, filled = address_of(uri)
    if at != connection:
        return
    yield filled
    if swapped := manifest.report.swapped:
        yield from {swapped.index, swapped.kept, *swapped.older} - {*swapped.removed}
