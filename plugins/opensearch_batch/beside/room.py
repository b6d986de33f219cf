"""Whether a cluster has the memory and the disk for a second index, asked before the index is made."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opensearch_batch.cluster import documents, room
from opensearch_batch.cluster.described import About, Send
from opensearch_batch.cluster.room import IndexSize
from opensearch_batch.prepare.graphs import vector_field as read_field
from opensearch_batch.prepare.index_mapping import field_at
from opensearch_batch.prepare.index_room import refuse_lacking
from opensearch_batch.prepare.index_state import is_derived
from opensearch_batch.prepare.room import Needed
from opensearch_batch.write_back_section import WriteBackSection

log = logging.getLogger(__name__)


def refuse_no_room(
    send: Send, source: str, name: str, about: About, section: WriteBackSection, mapping: Mapping[str, Any] | None
) -> None:
    """Raise SpecError, with figures, where the documents of `source` with a vector each do not fit beside it; with
    write_back.when_too_large: pass only say so.

    `mapping` is of the new vector field, None where only the model knows the length: the old vectors' length counts.
    """
    old = read_field(field_at(about["mappings"], section.vector_field) or {})
    new = read_field(mapping) if mapping else old
    if new is None:
        log.info("%s: only the model knows the length of its vectors; what they take is not known", name)
        return
    settings = about["settings"]["index"]
    shards, copies = int(settings["number_of_shards"]), 1 + int(settings["number_of_replicas"])
    size = send(room.index_size(source))
    if old:  # the documents are copied without their vectors
        stored = old.disk(_vectors_in(send, source, size, about, section), is_derived=is_derived(settings)) * copies
        size = IndexSize(size.documents, max(0, size.stored - stored))
    needed = Needed(name, new, size, shards, copies, size.documents, is_derived(settings))
    refuse_lacking(send, [needed], section.when_too_large)


def _vectors_in(send: Send, source: str, size: IndexSize, about: About, section: WriteBackSection) -> int:
    """Nested objects count in the size as documents of their own, and a search does not count them."""
    if (field_at(about["mappings"], section.chunks_field) or {}).get("type") == "nested":
        return max(0, size.documents - int(send(documents.count_documents(source, {"match_all": {}}))))
    return int(send(documents.count_documents(source, {"exists": {"field": section.vector_field}})))
