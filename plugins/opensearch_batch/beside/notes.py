"""The note that an index keeps about itself in its mapping's _meta: it goes where the index goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, convert

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import About, Send
from opensearch_batch.flow.beside import IndexNote

KEY = "opensearch_batch"


def note_of(about: About) -> IndexNote:
    """Return an index's note; an empty one where there is none, or one of another version."""
    return _read((about["mappings"].get("_meta") or {}).get(KEY))


def with_note(meta: Mapping[str, Any] | None, note: IndexNote) -> dict[str, Any]:
    """The _meta of a mapping with a note beside what others keep there."""
    return {**(meta or {}), KEY: note.to_dict()}


def put_note(send: Send, index: str, about: About, note: IndexNote) -> None:
    """_meta is replaced as a whole: what others keep there is given again."""
    send(documents.put_mapping(index, {"_meta": with_note(about["mappings"].get("_meta"), note)}))


def _read(found: Any) -> IndexNote:
    try:
        return convert(found, IndexNote) if isinstance(found, dict) else IndexNote()
    except ValidationError:
        return IndexNote()
