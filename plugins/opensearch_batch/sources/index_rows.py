"""The documents of an index, or of each index of an alias, read from points in time: all that were there at the
beginning, each once.

A walk goes shard by shard, in the order of `_seq_no`: a slice of as many slices as shards is exactly a shard, and
sequence numbers are unique in a shard only. A search adds no tie-break, and positions by `_doc` mean nothing in a
second point in time; `_seq_no` goes on where a lost point in time ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import described, result_window
from opensearch_batch.cluster.documents import Page
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.dotted import leaf_at
from opensearch_batch.errors import BatchError, InputError, Unavailable
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.sources.checkpoint import Checkpoint
from opensearch_batch.sources.rows import Place, Row

log = logging.getLogger(__name__)

SCHEME = "opensearch://"
FIRST_PAGE, MOST_A_PAGE = 200, 2000
"""Documents of the first page, and of any; fewer where the index answers with fewer."""
PAGE_CHARACTERS = 4 << 20
"""Pages become smaller above this many characters, and larger below a quarter of it."""
NUMBER_CHARACTERS = 16
"""A number counts as so many: a document that is read whole may have vectors of others."""
MOST_REOPENED = 100
"""Points in time that may end in a walk over one shard."""

NOT_FOUND = 404
CLOSED = "index_closed_exception"
ID = "_id"
"""Field of a row with its id: the document's, or index/id where several indices are read."""
DOCUMENT = "_document"
"""Field of a row with what is needed to write to its document; a name that no corpus has for a text."""

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class IndexSource:
    """What is read. `described` is by concrete index: aliases, mappings and settings; `states` are in the same order.

    `fields` are leaves: on some servers a filter that names an object with vectors answers with other values.
    """

    uri: str
    name: str
    send: Send
    described: Mapping[str, Mapping[str, Any]]
    states: tuple[IndexState, ...]
    query: Mapping[str, Any] | None
    fields: Sequence[str]
    asked: Any = None
    """Filter of _source, instead of `fields`; hits then have their version."""

    @property
    def queries(self) -> list[Mapping[str, Any]]:
        """All that choose documents: the run's own, and the filters of an alias."""
        filters = [_alias_filter(self, state.index) for state in self.states]
        return [query for query in (self.query, *filters) if query]

    def rows(self, after: Checkpoint | None = None) -> Generator[Row, None, None]:
        """Yield a Row for each document; with `after` for each document written since that checkpoint, or left by it.
        A deleted document has no row.
        """
        number = 0
        for state in self.states:
            before = after.state_of(state) if after else None
            left = after.left.get(state.index, []) if after and before else []
            for shard in sorted(state.checkpoints, key=int):
                since = before.checkpoints.get(shard, -1) if before else -1
                for hit in self._shard(state, shard, since, left):
                    number += 1
                    yield self.row(hit, number)

    def hits(self, since: IndexState | None = None) -> Generator[dict[str, Any], None, None]:
        """Yield each document as it is found; with `since` each that was written after that state of its index."""
        for state in self.states:
            for shard in sorted(state.checkpoints, key=int):
                yield from self._shard(state, shard, since.checkpoints.get(shard, -1) if since else -1, ())

    def row(self, hit: Mapping[str, Any], number: int) -> Row:
        source = hit.get("_source") or {}
        fields = dict(source)
        for name in self.fields:
            if "." in name and name not in fields:
                fields[name] = leaf_at(source, name)
        fields[ID] = hit["_id"] if len(self.states) == 1 else f"{hit['_index']}/{hit['_id']}"
        version = {"index": hit["_index"], "id": hit["_id"], "seq_no": hit["_seq_no"]}
        version["primary_term"] = hit["_primary_term"]
        if "_routing" in hit:
            version["routing"] = hit["_routing"]
        fields[DOCUMENT] = version
        return Row(fields, Place(self.uri, number, "document"))

    def _shard(
        self, state: IndexState, shard: str, since: int, left: Sequence[str]
    ) -> Generator[dict[str, Any], None, None]:
        """Documents written later than the state come with the next run: after a lost point in time a document that
        was edited meanwhile would come twice.
        """
        last, most = -1 if left else since, state.checkpoints[shard]
        for _ in range(MOST_REOPENED):
            if last >= most:
                return
            with naming_closed(state.index):
                pages = _Pages(self, state, shard, _written_since(since, left))
            try:
                for hit in pages.between(last, most):
                    last = hit["_seq_no"]
                    yield hit
                return
            except BatchError as error:
                if error.status != NOT_FOUND:
                    raise
                log.info("%s: the point in time ended after _seq_no %d of shard %s; another one", self.uri, last, shard)
                refuse_another(self.send, [state])
            finally:
                pages.close()
        raise Unavailable(
            f"{self.uri}: {MOST_REOPENED} points in time ended in shard {shard} of {state.index}. Nothing was sent"
        )


class _Pages:
    """The pages of a shard, of one point in time."""

    def __init__(self, source: IndexSource, state: IndexState, shard: str, wanted: Mapping[str, Any] | None) -> None:
        self._source, self._index = source, state.index
        self._pit_id = source.send(documents.open_point_in_time(state.index))
        shards = len(state.checkpoints)
        self._slice = {"slice": {"id": int(shard), "max": shards}} if shards > 1 else {}
        self._most = min(MOST_A_PAGE, result_window(source.described[state.index]))
        self._filters = [query for query in (wanted, source.query, _alias_filter(source, state.index)) if query]

    def between(self, last: int, most: int) -> Iterator[dict[str, Any]]:
        size = min(FIRST_PAGE, self._most)
        while True:
            page = self._page(last, most, size)
            if page.failed_shards:  # never, as partial results are refused
                raise Unavailable(f"{self._source.uri}: a shard failed. Nothing was sent")
            yield from page.hits
            if len(page.hits) < size:
                return
            last = page.hits[-1]["_seq_no"]
            size = _next_size(size, page.hits, self._most)

    def _page(self, last: int, most: int, size: int) -> Page:
        within = {"range": {"_seq_no": {"gt": last, "lte": most}}}
        body = {
            "pit": {"id": self._pit_id, "keep_alive": documents.KEEP_ALIVE},
            "query": {"bool": {"filter": [within, *self._filters]}},
            "sort": ["_seq_no"],
            "size": size,
            "_source": list(self._source.fields) if self._source.asked is None else self._source.asked,
            "seq_no_primary_term": True,
            "version": self._source.asked is not None,
            "track_total_hits": False,
            **self._slice,
        }
        with naming_closed(self._index):
            page: Page = self._source.send(documents.search_point_in_time(body))
        self._pit_id = page.point_in_time or self._pit_id
        return page

    def close(self) -> None:
        try:
            self._source.send(documents.close_point_in_time(self._pit_id))
        except BatchError as error:
            log.info("%s: a point in time stays open until its time is over: %s", self._source.uri, error)


def _written_since(since: int, left: Sequence[str]) -> Mapping[str, Any] | None:
    """The query of documents to read besides those after `since`; None without any."""
    if not left:
        return None
    return {"bool": {"should": [{"range": {"_seq_no": {"gt": since}}}, {"ids": {"values": list(left)}}]}}


def _next_size(size: int, hits: Sequence[Mapping[str, Any]], most: int) -> int:
    characters = sum(characters_in(hit.get("_source")) for hit in hits)
    if characters > PAGE_CHARACTERS:
        return max(1, size // 2)
    return min(most, size * 2) if characters < PAGE_CHARACTERS // 4 else size


def characters_in(value: Any) -> int:
    """Count the characters of all texts in a JSON value, and NUMBER_CHARACTERS for each number."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return NUMBER_CHARACTERS
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return sum(characters_in(each) for each in inner)


def _alias_filter(source: IndexSource, index: str) -> Mapping[str, Any] | None:
    alias = source.described[index].get("aliases", {}).get(source.name) or {}
    found: Mapping[str, Any] | None = alias.get("filter")
    return found


def open_index(uri: str, query: Mapping[str, Any] | None, fields: Sequence[str]) -> IndexSource:
    """Look at the index of an opensearch://connection/index. Raise InputError for an index that is not there."""
    from opensearch_batch.cluster.hook import MLCommonsHook

    connection, name = address_of(uri)
    send = MLCommonsHook(connection).send
    about = described(send, name)
    if not about:
        raise InputError(f"{uri}: no such index, and no alias of that name")
    states = tuple(read_states(send, sorted(about)))
    for state in states:
        shards = int(about[state.index]["settings"]["index"]["number_of_shards"])
        if len(state.histories) < shards:
            raise Unavailable(f"{state.index}: only {len(state.histories)} of {shards} shards answer. Nothing was sent")
        show_writes(send, state)
    return IndexSource(uri, name, send, about, states, query, fields)


def show_writes(send: Send, state: IndexState) -> None:
    """Make searches see what a state counts. Before a refresh a walk passes the last writes over for good, and vectors
    that were written a moment ago are paid again.
    """
    send(documents.refresh(state.index))


def address_of(uri: str) -> tuple[str, str]:
    """Return connection and index. Raise InputError for a text of another form."""
    connection, slash, name = uri.removeprefix(SCHEME).partition("/")
    if not (connection and name) or "/" in name:
        raise InputError(f"{uri!r} is no opensearch://CONNECTION/INDEX, e.g. opensearch://opensearch_default/articles")
    return connection, name


def read_states(send: Send, indices: Sequence[str]) -> Iterator[IndexState]:
    """Yield the state of each index. Raise Unavailable where a shard has no primary."""
    for index in indices:
        with naming_closed(index):
            answer = send(documents.shard_states(index))
        found = answer.get(index)
        if found is None or not found["shards"]:
            raise Unavailable(f"{index} is red: no shard of it answers. GET _cluster/allocation/explain says why")
        yield IndexState(
            index,
            found["uuid"],
            {number: history for number, (history, _) in found["shards"].items()},
            {number: checkpoint for number, (_, checkpoint) in found["shards"].items()},
        )


@contextmanager
def naming_closed(index: str) -> Iterator[None]:
    """Raise InputError with the line that opens an index, where the cluster says that the index is closed."""
    try:
        yield
    except BatchError as error:
        if CLOSED not in str(error):
            raise
        raise InputError(f"{index} is closed: POST {index}/_open opens it") from error


def refuse_another(send: Send, states: Sequence[IndexState]) -> None:
    """Raise InputError where an index is no longer the one that was read."""
    for state in states:
        state_now(send, state)


def state_now(send: Send, state: IndexState) -> IndexState:
    """Return how far the index of a state is now, all its shards. Raise InputError where it is no longer that index,
    Unavailable where a shard is missing in the answer: a walk would pass its documents over.
    """
    try:
        now = next(read_states(send, [state.index]))
    except BatchError as error:
        if error.status != NOT_FOUND:
            raise
        raise InputError(f"{state.index} was deleted since it was read. Start a new run") from error
    if now.uuid == state.uuid and now.histories.items() < state.histories.items():
        raise Unavailable(f"{state.index}: only {len(now.histories)} of {len(state.histories)} shards answer")
    if not now.is_same_index(state):
        raise InputError(
            f"{state.index} is another index than was read (uuid {state.uuid} then, {now.uuid} now, or restored from "
            "a snapshot): the sequence numbers count anew. Nothing more is read or written there; start a new run"
        )
    return now
