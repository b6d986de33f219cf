"""Writes of single documents: index, create, update and delete, with their conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.index_face.documents import Document, Shard
from sandbox.index_face.errors import Problem, conflict, document_missing, routing_missing
from sandbox.index_face.reading import parsed, take_in

if TYPE_CHECKING:
    from sandbox.index_face.index import Index

NO_SEQ_NO = -2


@dataclass(frozen=True)
class Terms:
    """On which a write is done: the seq_no and term it was read with, or a version of its own."""

    if_seq_no: int | None = None
    if_primary_term: int | None = None
    version: int | None = None
    version_type: str = "internal"

    @property
    def is_external(self) -> bool:
        return self.version_type in ("external", "external_gt", "external_gte")


NO_TERMS = Terms()


@dataclass(frozen=True)
class Change:
    """What an update asks for."""

    doc: dict[str, Any]
    upsert: dict[str, Any] | None = None
    doc_as_upsert: bool = False
    detect_noop: bool = True


@dataclass(frozen=True)
class Written:
    index: Index
    id: str
    shard: Shard
    result: str
    status: int
    version: int
    seq_no: int
    term: int
    source: bytes | None = None
    is_done: bool = True
    """False for a noop."""


def put(
    index: Index,
    id: str,
    routing: str | None,
    raw: bytes,
    terms: Terms = NO_TERMS,
    *,
    is_3x: bool,
    creates: bool = False,
) -> Written:
    shard = _shard(index, id, routing)
    value = parsed(raw)
    old = shard.documents.get(id)
    if creates and old is not None:
        words = f"document already exists (current version [{old.version}])"
        raise conflict(id, words, index.name, index.uuid, shard.number)
    _hold(terms, index, shard, id, old)
    return _store(index, shard, id, routing, value, raw, terms, is_3x=is_3x)


def delete(index: Index, id: str, routing: str | None, terms: Terms = NO_TERMS) -> Written:
    shard = _shard(index, id, routing)
    old = shard.documents.get(id)
    _hold(terms, index, shard, id, old)
    version = _next_version(index, shard, id, old, terms)
    seq_no = shard.take_seq_no()
    shard.remove(id, version)
    index.changes.append((shard.number, id, None))
    found = ("deleted", 200) if old else ("not_found", 404)
    return Written(index, id, shard, *found, version, seq_no, index.term)


def update(
    index: Index, id: str, routing: str | None, change: Change, terms: Terms = NO_TERMS, *, is_3x: bool
) -> Written:
    shard = _shard(index, id, routing)
    old = shard.documents.get(id)
    if old is None:
        new = change.doc if change.doc_as_upsert else change.upsert
        if new is None:
            raise document_missing(id, index.name, index.uuid, shard.number)
        return _store(index, shard, id, routing, dict(new), None, NO_TERMS, is_3x=is_3x)
    _hold(terms, index, shard, id, old)
    if old.source is None:
        more = {"index": index.name, "shard": str(shard.number), "index_uuid": index.uuid}
        raise Problem(400, "document_source_missing_exception", f"[{id}]: document source missing", more)
    value = orjson.loads(old.source)
    is_changed = _merge(value, change.doc)
    if change.detect_noop and not is_changed:
        done = (old.version, old.seq_no, old.term)
        return Written(index, id, shard, "noop", 200, *done, old.source, is_done=False)
    kept_routing = routing if routing is not None else old.routing
    return _store(index, shard, id, kept_routing, value, None, NO_TERMS, is_3x=is_3x)


def _shard(index: Index, id: str, routing: str | None) -> Shard:
    if routing is None and index.mapping.get("_routing", {}).get("required"):
        raise routing_missing(index.name, id)
    return index.shard_for(id, routing)


def _hold(terms: Terms, index: Index, shard: Shard, id: str, old: Document | None) -> None:
    place = (index.name, index.uuid, shard.number)
    if terms.if_seq_no is not None:
        needed = f"required seqNo [{terms.if_seq_no}], primary term [{terms.if_primary_term}]."
        if old is None:
            raise conflict(id, f"{needed} but no document was found", *place)
        if (old.seq_no, old.term) != (terms.if_seq_no, terms.if_primary_term):
            words = f"current document has seqNo [{old.seq_no}] and primary term [{old.term}]"
            raise conflict(id, f"{needed} {words}", *place)
    if terms.is_external and terms.version is not None:
        current = old.version if old else shard.deleted_version(id, index.gc_seconds)
        if current is None:
            return
        is_late = current > terms.version if terms.version_type == "external_gte" else current >= terms.version
        if is_late:
            than = "higher than" if terms.version_type == "external_gte" else "higher or equal to"
            raise conflict(id, f"current version [{current}] is {than} the one provided [{terms.version}]", *place)


def _store(
    index: Index,
    shard: Shard,
    id: str,
    routing: str | None,
    value: dict[str, Any],
    raw: bytes | None,
    terms: Terms,
    *,
    is_3x: bool,
) -> Written:
    read = take_in(index, id, value, raw, is_3x=is_3x)
    old = shard.documents.get(id)
    version = _next_version(index, shard, id, old, terms)
    seq_no = shard.take_seq_no()
    document = Document(id, routing, seq_no, index.term, version, read.source, read.indexed, read.skipped)
    shard.put(document)
    index.changes.append((shard.number, id, document))
    result = ("updated", 200) if old else ("created", 201)
    return Written(index, id, shard, *result, version, seq_no, index.term, read.source)


def _next_version(index: Index, shard: Shard, id: str, old: Document | None, terms: Terms) -> int:
    if terms.is_external and terms.version is not None:
        return terms.version
    if old is not None:
        return old.version + 1
    return (shard.deleted_version(id, index.gc_seconds) or 0) + 1


def _merge(into: dict[str, Any], change: dict[str, Any]) -> bool:
    """Objects are merged, all else is replaced; whether anything is another than before, 1 and 1.0 being two."""
    is_changed = False
    for name, new in change.items():
        if name not in into:
            into[name] = new
            is_changed = True
        elif isinstance(new, dict) and isinstance(into[name], dict):
            is_changed = _merge(into[name], new) or is_changed
        else:
            is_changed = is_changed or not _same(into[name], new)
            into[name] = new
    return is_changed


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str | int) or isinstance(right, str | int):
        return type(left) is type(right) and bool(left == right)
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)
