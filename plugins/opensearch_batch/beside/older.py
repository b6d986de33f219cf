"""The index before the kept one: named, and deleted where the spec says so."""

from __future__ import annotations

import logging

from opensearch_batch.beside.notes import note_of
from opensearch_batch.cluster import indices
from opensearch_batch.cluster.described import Send, described
from opensearch_batch.sources.index_rows import read_states

log = logging.getLogger(__name__)


def older_than(send: Send, kept: str) -> list[str]:
    """Return the index that the kept one has replaced, where it is still the same and under no alias at all. Where that
    move has not ended, it alone may have documents.
    """
    about = described(send, kept).get(kept)
    moved = note_of(about).moved if about else None
    if moved is None or moved.back or not moved.ended:
        return []
    older = described(send, moved.left.index).get(moved.left.index)
    if older is None or older["aliases"]:
        return []
    return [moved.left.index] if next(read_states(send, [moved.left.index])).is_same_index(moved.left) else []


def remove(send: Send, names: list[str]) -> list[str]:
    """Delete indices; return the names of those that are gone."""
    for name in names:
        send(indices.delete_index(name))
        log.info("%s was deleted, as write_back.remove_older says", name)
    return names
