"""The alias moves from one index to another, to a new one or back: edits are carried until the move and after it, so
that no write is lost whichever of the two indices took it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace as with_fields

from opensearch_batch.beside.aliased import indices_of, line_of_move, moving, removal
from opensearch_batch.beside.carrying import Fields, Key, carry
from opensearch_batch.beside.making import pipelines_of, whole_state
from opensearch_batch.beside.notes import note_of, put_note
from opensearch_batch.beside.tombstones import UNTIL_THE_END, forget_deletions, keep_deletions, kept_deletions
from opensearch_batch.cluster import documents, indices
from opensearch_batch.cluster.described import About, Send
from opensearch_batch.errors import BatchError, Refused
from opensearch_batch.flow.beside import Carried, IndexNote, Moved
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.index_rows import refuse_another, state_now

log = logging.getLogger(__name__)

MOST_ROUNDS = 10
"""Rounds of carrying before the move. In an index that is written to all the time none finds it at rest; what is
written after the last one is carried after the move.
"""
AFTER_ROUNDS = 3
FORBIDDEN, NOT_FOUND = 403, 404

Judge = Callable[[Carried, IndexState], None]
"""Raises where the target may not take the place of the source, which was carried as far as this state."""


@dataclass(frozen=True)
class Move:
    """`since`: the index that the alias leaves, as far as its documents are in the target already. `carries`: whether
    edits are brought over at all. `has_deletions`: whether documents may have been deleted in the target, by its users
    or as deletions that were brought over.
    """

    alias: str
    run: str
    since: IndexState
    target: IndexState
    fields: Fields
    back: bool = False
    carries: bool = True
    has_deletions: bool = True


@dataclass(frozen=True)
class Done:
    before: Carried
    after: Carried
    seconds: float


def move(send: Send, wanted: Move, judge: Judge) -> Done:
    """Move the alias, or end what an earlier try began. Raise Refused, with the line to paste, where the alias leads
    elsewhere.
    """
    source, target = wanted.since.index, wanted.target.index
    found = indices_of(send, wanted.alias)
    refuse_another(send, [wanted.target])
    if found.keys() == {target}:
        moved = note_of(found[target]).moved
        if moved is None or (moved.run, moved.back) != (wanted.run, wanted.back):
            raise Refused(f"alias {wanted.alias} leads to {target} already, and another run moved it")
        return Done(Carried(), Carried() if moved.ended else _ended(send, wanted, moved), 0.0)
    refuse_elsewhere(wanted.alias, found, source, target)
    refuse_another(send, [wanted.since])
    came = note_of(found[source]).moved if wanted.back and wanted.carries else None
    if came and not came.ended:  # what the kept index took at the last moment of that move is in no other
        _ended(send, Move(wanted.alias, came.run, wanted.target, wanted.since, wanted.fields), came)
    last, before = wanted.since, Carried()
    if wanted.carries:
        before, last = settle(send, last, wanted.target, wanted.fields)
    judge(before, last)
    if not wanted.back:
        send(indices.set_index(target, pipelines_of(found[source])))
    if wanted.carries:
        more, last = settle(send, last, wanted.target, wanted.fields, rounds=1)
        before += more
        if wanted.has_deletions or last.checkpoints != wanted.since.checkpoints:  # the same in each try
            forget_deletions(send, target)
        keep_deletions(send, target, UNTIL_THE_END)
    began = time.monotonic()
    if wanted.carries:  # edited while ids were compared: a partial update by the alias must not find the former text
        more, _ = settle(send, last, wanted.target, wanted.fields, deletes=False)
        before += more
    moved = _noted(send, wanted, last)
    _changed(send, wanted, found[source])
    seconds = time.monotonic() - began
    refuse_second(send, wanted.alias, target)
    return Done(before, _ended(send, wanted, moved), seconds)


def settle(
    send: Send,
    since: IndexState,
    target: IndexState,
    fields: Fields,
    rounds: int = MOST_ROUNDS,
    *,
    deletes: bool = True,
) -> tuple[Carried, IndexState]:
    """Carry until nothing was written meanwhile; return what was carried, and how far. See `carry` for `deletes`."""
    total, bare = Carried(), set[Key]()
    for _ in range(rounds):
        now = state_now(send, since)
        if now.checkpoints == since.checkpoints:
            break
        total += carry(send, now, since, target, fields, bare, deletes=deletes)
        since = now
    return total, since


def refuse_elsewhere(alias: str, found: dict[str, About], source: str, target: str) -> None:
    """Raise Refused where an alias leads to anything but one index."""
    if found.keys() == {source}:
        return
    rule = next(iter(found.values()))["aliases"][alias]
    names = sorted(found)
    if source in found:
        others = " and ".join(removal(alias, name) for name in names if name != source)
        raise Refused(
            f"alias {alias} leads to {', '.join(names)}; it led to {source} alone when this run began. {others} takes "
            "it off what does not belong there; then clear this task"
        )
    raise Refused(
        f"alias {alias} leads to {', '.join(names)}, and no longer to {source}, from which {target} was made: somebody "
        f"else has moved it. If it is to go on, {line_of_move(alias, rule, names[0], source)}, and clear this task; if "
        "not, start a new run"
    )


def refuse_second(send: Send, alias: str, target: str) -> None:
    """Raise Refused where the alias leads to another index too: a restore can put a second one there at any moment."""
    others = [name for name in indices_of(send, alias) if name != target]
    if others:
        lines = " and ".join(removal(alias, name) for name in others)
        raise Refused(
            f"alias {alias} leads to {target} now, as it should, and to {', '.join(others)} too, which somebody put "
            f"there meanwhile. {lines} ends that; then clear this task"
        )


def _noted(send: Send, wanted: Move, last: IndexState) -> Moved:
    """Note the move in the index that is moved to: a later try, and a rollback, go on from there."""
    name = wanted.target.index
    about = send(documents.describe_indices(name))[name]
    here = whole_state(send, name, about)
    moved = Moved(wanted.alias, wanted.run, last, here, wanted.back)
    put_note(send, name, about, IndexNote(note_of(about).made, moved))
    return moved


def _changed(send: Send, wanted: Move, old: About) -> None:
    actions = moving(wanted.alias, old["aliases"][wanted.alias], wanted.since.index, wanted.target.index)
    try:
        send(indices.change_aliases(wanted.alias, actions))
    except BatchError as error:
        if error.status == NOT_FOUND:
            raise Refused(
                f"alias {wanted.alias} no longer leads to {wanted.since.index}: somebody else moved it a moment ago, "
                f"and nothing was changed. Clear this task when it does again. {error}"
            ) from error
        if error.status == FORBIDDEN and "cluster_block_exception" in str(error):
            raise Refused(
                f"{wanted.since.index} or {wanted.target.index} is read-only, and its aliases stay: PUT "
                f'{wanted.since.index}/_settings {{"index.blocks.read_only": null}}, and clear this task. {error}'
            ) from error
        raise


def _ended(send: Send, wanted: Move, moved: Moved) -> Carried:
    """End a move, and note that it has ended: carried once more by a later try, a document that was deleted since would
    be there again.
    """
    carried, name, left = _after(send, wanted, moved), wanted.target.index, wanted.since.index
    if wanted.carries:
        keep_deletions(send, name, kept_deletions(send(documents.describe_indices(left))[left]))
    about = send(documents.describe_indices(name))[name]
    put_note(send, name, about, IndexNote(note_of(about).made, with_fields(moved, ended=True)))
    return carried


def _after(send: Send, wanted: Move, moved: Moved) -> Carried:
    """Carry what the index that was left took at the last moment; later writes to the other stay as they are."""
    if not wanted.carries:
        return Carried()
    total, since, bare = Carried(), moved.left, set[Key]()
    for _ in range(AFTER_ROUNDS):
        now = state_now(send, since)
        if now.checkpoints == since.checkpoints:
            break
        total += carry(send, now, since, wanted.target, wanted.fields, bare, moved.here)
        since = now
    return total
