"""Rollback: which index an alias led to before its last move, and whether it may lead there again."""

from __future__ import annotations

from opensearch_batch.beside.aliased import indices_of, line_of_move, removal
from opensearch_batch.beside.carrying import Fields
from opensearch_batch.beside.making import whole_state
from opensearch_batch.beside.moving import Move
from opensearch_batch.beside.notes import note_of
from opensearch_batch.cluster.described import About, Send, described
from opensearch_batch.errors import Refused


def way_back(send: Send, alias: str, run: str, fields: Fields, *, carries: bool) -> Move:
    """Return the move to the kept index. Raise Refused, with the reason, where there is none or somebody else moved the
    alias meanwhile.
    """
    found = indices_of(send, alias)
    if len(found) > 1:
        lines = " and ".join(removal(alias, name) for name in sorted(found)[1:])
        raise Refused(f"alias {alias} leads to {', '.join(sorted(found))}. Take off what does not belong: {lines}")
    [(index, about)] = found.items()
    moved = note_of(about).moved
    if moved is None or moved.alias != alias:
        raise Refused(
            f"nothing is kept for alias {alias}: it leads to {index}, and no run has moved it there. If you know the "
            f"index to go back to: {line_of_move(alias, about['aliases'][alias], index, 'INDEX')}"
        )
    here = whole_state(send, index, about)
    if moved.back and moved.run == run:  # this rollback's own move
        return Move(alias, run, moved.left, here, fields, back=True, carries=carries)
    if moved.back:
        raise Refused(
            f"alias {alias} was rolled back to {index} already, by {moved.run}. To go forward again: "
            f"{line_of_move(alias, about['aliases'][alias], index, moved.left.index)}"
        )
    if not here.is_same_index(moved.here):
        raise Refused(
            f"{index} is another index than alias {alias} was moved to, by {moved.run}: deleted and made again, or "
            f"restored. If the alias is to go back all the same: "
            f"{line_of_move(alias, about['aliases'][alias], index, moved.left.index)}"
        )
    kept = whole_state(send, moved.left.index, _kept(send, alias, moved.left.index))
    if not kept.is_same_index(moved.left):
        raise Refused(
            f"{kept.index} is another index than alias {alias} was moved from: deleted and made again, or restored. If "
            f"it is right all the same: {line_of_move(alias, about['aliases'][alias], index, kept.index)}"
        )
    return Move(alias, run, moved.here, kept, fields, back=True, carries=carries)


def _kept(send: Send, alias: str, index: str) -> About:
    found = described(send, index)
    if not found:
        raise Refused(f"nothing is kept for alias {alias}: {index}, from which it was moved, is gone")
    return found[index]
