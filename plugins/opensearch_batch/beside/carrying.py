"""Documents brought over from one index into another: first all, then what was edited, made or deleted since.

The vector of a document is its index's own: it is left out on the way, and stays in the other index where the text is
still the same. The server's own `_reindex` is not much faster (2.19.6: 20,000 documents in 7.1 s against 11.9 s; 3.6.0:
6,000 in 6.6 s against 5.6 s), but goes on when its task has been killed, and knows no shard's checkpoint.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from msgspec.structs import replace as with_fields

from opensearch_batch.cluster import indices
from opensearch_batch.cluster.described import About, Send, described
from opensearch_batch.cluster.indices import Held
from opensearch_batch.dotted import leaf_at, not_an_object, take_out, value_at, with_dotted
from opensearch_batch.errors import Unavailable
from opensearch_batch.flow.beside import NAMED, Carried
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sinks.index_writes import Action, Sent, delete_action, index_action, send_actions
from opensearch_batch.sources.index_rows import IndexSource, refuse_another, show_writes
from opensearch_batch.temporary_database import temporary_database
from opensearch_batch.write_back_section import PROVENANCE_LEAVES

AT_ONCE, WITH_CHUNKS_AT_ONCE = 200, 5
"""Documents compared at once: they are read with all of their vectors."""

Key = tuple[str, str | None]
"""Id and routing: an index has documents of one id in several shards where their routings differ."""


@dataclass(frozen=True)
class Fields:
    """Dotted paths: of the leaves that a text is made of, and of what the model has made of it. `vector` may be the
    nested field of chunks, each with its vector; `provenance` is an object, in which its owner may have more.
    """

    texts: Sequence[str]
    vector: str
    provenance: str
    has_chunks: bool = False

    @property
    def made(self) -> tuple[str, ...]:
        return self.vector, *(f"{self.provenance}.{name}" for name in PROVENANCE_LEAVES)

    @property
    def at_once(self) -> int:
        return WITH_CHUNKS_AT_ONCE if self.has_chunks else AT_ONCE


def reader(send: Send, state: IndexState, asked: Any) -> IndexSource:
    """Reads the documents of one index up to a state; `asked` is a filter of _source."""
    show_writes(send, state)
    uri = f"opensearch://{state.index}"
    gone: dict[str, About] = {state.index: {"settings": {"index": {}}}}  # the first page says that it is
    about = described(send, state.index) or gone
    return IndexSource(uri, state.index, send, about, (state,), None, (), asked)


def copy_documents(send: Send, source: IndexState, target: IndexState, fields: Fields) -> tuple[int, int]:
    """Copy all documents of a state, without their vectors; return how many were written and how many were there.

    Repeating is safe: a document keeps its version, and an older version is not written over a newer one.
    """
    seen = 0

    def actions() -> Iterator[Action]:
        nonlocal seen
        for hit in hits:
            seen += 1
            yield _external(target.index, hit, hit["_source"], hit["_version"])

    with closing(_hits(send, source, None, fields)) as hits:
        sent = _sent(send, target, actions())
    return sent.done, seen - sent.done


def carry(
    send: Send,
    source: IndexState,
    since: IndexState,
    target: IndexState,
    fields: Fields,
    bare: set[Key],
    behind: IndexState | None = None,
    *,
    deletes: bool = True,
) -> Carried:
    """Bring over what was written between two states of an index, and what was deleted, unless `deletes` is False: that
    takes a walk over the ids of both indices.

    Without `behind` nobody else writes to the target. With it others do, since that state of it: what they wrote is
    later, and stays. `bare` grows by the documents that have a text without its vector: a document that is written all
    the time counts once.
    """
    total, found = Carried(), 0
    with closing(_hits(send, source, since, fields)) as hits:
        while some := list(islice(hits, fields.at_once)):
            found += len(some)
            total += _carried(send, some, target, fields, bare, behind)
    if deletes and found < writes_between(since, source):
        total += _without_deleted(send, source, target, behind)
    return total


def writes_between(since: IndexState, now: IndexState) -> int:
    """Count the writes and deletions between two states of an index."""
    return sum(at - since.checkpoints.get(shard, -1) for shard, at in now.checkpoints.items())


def _hits(
    send: Send, state: IndexState, since: IndexState | None, fields: Fields
) -> Generator[dict[str, Any], None, None]:
    with closing(reader(send, state, {"excludes": [*fields.made]}).hits(since)) as hits:
        for hit in hits:
            if value_at(hit["_source"], fields.provenance) == {}:  # nothing of its owner's was in it
                take_out(hit["_source"], fields.provenance)
            yield hit


def _carried(
    send: Send,
    hits: Sequence[Mapping[str, Any]],
    target: IndexState,
    fields: Fields,
    bare: set[Key],
    behind: IndexState | None,
) -> Carried:
    held = _held(send, hits, target, fields)
    later = _written_since(send, target, behind) if behind else frozenset[Key]()
    actions, anew, known = [], dict[str, Action](), len(bare)
    for hit, there in zip(hits, held, strict=True):
        if key_of(hit) in later:
            continue
        source, is_bare = _with_vector(hit["_source"], there, fields)
        actions.append(_conditional(target.index, hit, source, there, is_alone=behind is None))
        if behind is None and there.source is None:
            anew[hit["_id"]] = index_action(target.index, hit["_id"], hit.get("_routing"), source)
        if is_bare:
            bare.add(key_of(hit))
    sent = _sent(send, target, actions, most_named=len(actions))
    # Nobody else writes there: what stands in the way of a document that is not there is its own carried deletion.
    done = sent.done + _sent(send, target, [anew[name] for name in sent.named if name in anew]).done
    left = [name for name in sent.named if name not in anew]
    return Carried(done, 0, len(bare) - known, len(hits) - done, left[:NAMED])


def _with_vector(source: Mapping[str, Any], there: Held, fields: Fields) -> tuple[Mapping[str, Any], bool]:
    """Return a document with the vector that the other index has of the same text, and whether its text has none. A
    document in which a list has come where the vector lies stays as it is, without.
    """
    texts = [leaf_at(source, name) for name in fields.texts]
    if there.source is not None and texts == [leaf_at(there.source, name) for name in fields.texts]:
        made = {path: value for path in fields.made if (value := value_at(there.source, path)) is not None}
        if fields.vector in made and not any(not_an_object(source, path) for path in made):
            return with_dotted(source, made), False
    return source, any(isinstance(text, str) and text.strip() for text in texts)


def _external(
    index: str, hit: Mapping[str, Any], source: Mapping[str, Any], version: int, kind: str = "external"
) -> Action:
    return index_action(index, hit["_id"], hit.get("_routing"), source, version=version, version_type=kind)


def _conditional(
    index: str, hit: Mapping[str, Any], source: Mapping[str, Any], there: Held, *, is_alone: bool
) -> Action:
    if is_alone:  # a vector's write counts as a version of its own there
        return _external(index, hit, source, max(hit["_version"], there.version), "external_gte")
    if there.source is None:  # a deletion leaves a version behind for a minute: one that came later stays
        return _external(index, hit, source, 1)
    term = {"if_seq_no": there.seq_no, "if_primary_term": there.primary_term}
    return index_action(index, hit["_id"], hit.get("_routing"), source, **term)


def _held(send: Send, hits: Sequence[Mapping[str, Any]], target: IndexState, fields: Fields) -> list[Held]:
    leaves = [*fields.texts, *fields.made]
    wanted = [
        {"_index": target.index, "_id": hit["_id"], "_source": leaves}
        | ({"routing": hit["_routing"]} if "_routing" in hit else {})
        for hit in hits
    ]
    found: list[Held] = send(indices.held_documents(wanted))
    for held in found:
        if held.error:
            raise Unavailable(f"{target.index}: a document cannot be read: {held.error}")
    return found


def _written_since(send: Send, target: IndexState, behind: IndexState) -> frozenset[Key]:
    """Read after the documents' own numbers: a later write changes these, and the condition no longer holds."""
    now = with_fields(behind, checkpoints=dict.fromkeys(behind.checkpoints, MOST_SEQ_NO))
    return frozenset(key_of(hit) for hit in reader(send, now, False).hits(behind))


MOST_SEQ_NO = (1 << 63) - 1


def _without_deleted(send: Send, source: IndexState, target: IndexState, behind: IndexState | None) -> Carried:
    """Delete from the target what the source no longer has. Ids are compared in a database on disk."""
    everything = dict.fromkeys(target.checkpoints, MOST_SEQ_NO)
    there = behind or with_fields(target, checkpoints=everything)
    all_of_source = with_fields(source, checkpoints=dict.fromkeys(source.checkpoints, MOST_SEQ_NO))
    with temporary_database() as db:
        db.execute("CREATE TABLE ids (id TEXT, routing TEXT, PRIMARY KEY (id, routing)) WITHOUT ROWID")
        rows = ((hit["_id"], hit.get("_routing", "")) for hit in reader(send, all_of_source, False).hits())
        db.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", rows)

        def actions() -> Iterator[Action]:
            for hit in hits:
                key = (hit["_id"], hit.get("_routing", ""))
                if db.execute("SELECT 1 FROM ids WHERE id = ? AND routing = ?", key).fetchone() is None:
                    term = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
                    yield delete_action(target.index, hit["_id"], hit.get("_routing"), **term)

        with closing(reader(send, there, False).hits()) as hits:
            sent = _sent(send, target, actions())
    return Carried(0, sent.done, 0, sent.conflicts, sent.named)


def _sent(send: Send, target: IndexState, actions: Iterable[Action], most_named: int = NAMED) -> Sent:
    return send_actions(actions, target.index, send, lambda: refuse_another(send, [target]), most_named=most_named)


def key_of(hit: Mapping[str, Any]) -> Key:
    return hit["_id"], hit.get("_routing")
