"""Whether a cluster has the memory and the disk for a run's vectors, asked before anything is sent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from opensearch_batch.cluster import documents, room
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused, SpecError
from opensearch_batch.prepare.graphs import vector_field
from opensearch_batch.prepare.index_mapping import field_at
from opensearch_batch.prepare.index_state import is_derived
from opensearch_batch.prepare.room import Needed, Room, lacking, words_of

log = logging.getLogger(__name__)

Send = Callable[[Call], Any]


def refuse_without_room(send: Send, indices: Sequence[str], field: str, written: int, when: str = "error") -> None:
    """Raise SpecError, with figures and what to do, where the indices' graphs do not fit in memory, or `written`
    vectors more on disk; with `when` "pass" only say so. What this user may not ask for is not judged.
    """
    refuse_lacking(send, list(_needed(send, indices, field, written)), when)


def refuse_lacking(send: Send, needed: Sequence[Needed], when: str = "error") -> None:
    """As refuse_without_room, for what is known to be needed."""
    for each in needed:
        log.info("%s", words_of(each))
    found = Room(_asked(send, room.data_nodes()), _asked(send, room.room_settings()))
    if any(each.vector.is_native for each in needed):
        found = Room(found.nodes, found.settings, _asked(send, room.graphs_in_memory()))
    if not (wrong := list(lacking(needed, found))):
        return
    words = "; ".join(wrong)
    if when == "pass":
        log.warning("%s", words)
        return
    raise SpecError(
        f"nothing was sent: {words}. These are estimates: write_back.when_too_large: pass goes on all the same"
    )


def _needed(send: Send, indices: Sequence[str], field: str, written: int) -> Iterable[Needed]:
    """The vectors of a run are taken to fall on several indices as their documents do."""
    described = send(documents.describe_indices(",".join(indices)))
    sizes = {index: send(room.index_size(index)) for index in described}
    total = sum(size.documents for size in sizes.values())
    for index, about in described.items():
        settings, size = about["settings"]["index"], sizes[index]
        vector = vector_field(field_at(about["mappings"], field) or {})
        if vector is None:
            log.info("%s: %s has no dimension in its mapping; what its vectors take is not known", index, field)
            continue
        share = math.ceil(written * size.documents / total) if total else written
        shards, copies = int(settings["number_of_shards"]), 1 + int(settings["number_of_replicas"])
        yield Needed(index, vector, size, shards, copies, share, is_derived(settings))


def _asked(send: Send, call: Call) -> Any:
    """None where the user may not ask."""
    try:
        return send(call)
    except Refused as error:
        log.warning("could not look, and goes on: %s", error)
        return None
