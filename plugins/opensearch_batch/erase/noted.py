"""Entries of sidecar indices: id and hash of a document's text, where the provenance does not lie in the document."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import Send, described
from opensearch_batch.dotted import value_at
from opensearch_batch.erase.indexed import Indices, batches_of, send_lines
from opensearch_batch.erase.naming import Naming
from opensearch_batch.erase.proof import Place
from opensearch_batch.errors import Refused
from opensearch_batch.flow.text_hash import is_text_hash
from opensearch_batch.sources.index_rows import DOCUMENT, address_of, open_index
from opensearch_batch.sources.rows import Row
from opensearch_batch.sources.sidecar import not_a_sidecar
from opensearch_batch.spec import BatchSpec

FORBIDDEN = 403
HASHES = ("noted.text_hash", "coming.text_hash")


@dataclass(frozen=True)
class NotedEntry:
    """An entry that is there; `hashes` are of the document's texts."""

    key: str
    hashes: frozenset[str]


@dataclass(frozen=True)
class Sidecar:
    """A sidecar index with the entries of wanted documents. `hidden` are indices that this user may not see, with
    entries of documents of the same ids.
    """

    connection: str
    name: str
    rows: int
    entries: Sequence[NotedEntry]
    hidden: Sequence[str]

    @property
    def place(self) -> Place:
        return Place("provenance index", f"opensearch://{self.connection}/{self.name}", self.rows, len(self.entries))

    def remove(self) -> None:
        """Repeating is safe. Raise Unavailable where the index has no place for it now."""
        heads = ({"delete": {"_index": self.name, "_id": entry.key}} for entry in self.entries)
        lines = (orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) for head in heads)
        send_lines(_send(self.connection), self.name, lines)


def look_at_sidecars(
    specs: Sequence[BatchSpec], indices: Indices, ids: Collection[str], kept: Mapping[str, Collection[str]]
) -> Iterator[Sidecar]:
    """Yield each sidecar of a spec and its earlier runs, each once; one that is not there has nothing. `kept` are by
    index the documents that stay.
    """
    wanted = {index: indices.naming.ids_in(index, ids).difference(kept.get(index, ())) for index in indices.names}
    named = [
        (address_of(spec.input.uri)[0], spec.write_back.provenance_index)
        for spec in specs
        if spec.input.is_index and spec.write_back and spec.write_back.provenance_index
    ]
    for connection, name in dict.fromkeys(named):
        send = _send(connection)
        if not _is_there(send, name):
            continue
        gone: dict[str, bool | None] = {}
        found = list(_found(send, f"opensearch://{connection}/{name}", indices.naming, ids, wanted, gone))
        rows = send(documents.count_documents(name, {"match_all": {}}))
        hidden = sorted(index for index, is_gone in gone.items() if is_gone is None)
        yield Sidecar(connection, name, int(rows), found, hidden)


def _found(
    send: Send,
    uri: str,
    naming: Naming,
    ids: Collection[str],
    wanted: Mapping[str, Collection[str]],
    gone: dict[str, bool | None],
) -> Iterator[NotedEntry]:
    """An entry of an index that is gone counts: its document may have been in an index that others have swapped. `gone`
    is filled with the other indices than those of the `wanted` documents.
    """
    for some in batches_of(sorted({*ids, *(each.partition("/")[2] for each in ids if "/" in each)})):
        for row in open_index(uri, {"terms": {"id": some}}, ["index", "id", *HASHES]).rows():
            index, document_id = row.fields["index"], row.fields["id"]
            if index in wanted:
                is_wanted = document_id in wanted[index]
            else:
                if index not in gone:
                    gone[index] = _is_gone(send, index)
                is_wanted = bool(gone[index]) and document_id in naming.ids_in(index, ids)
            if is_wanted:
                yield NotedEntry(row.fields[DOCUMENT]["id"], frozenset(_hashes(row)))


def _is_there(send: Send, name: str) -> bool:
    """Raise Refused for an index in which entries cannot be found by their ids."""
    found = described(send, name)
    if found and (wrong := not_a_sidecar(name, found)):
        raise Refused(f"{name}, an index of provenance, {wrong}: ids cannot be looked for there. Nothing was removed")
    return bool(found)


def _is_gone(send: Send, index: str) -> bool | None:
    """None for an index that this user may not see: its documents are others' to erase."""
    try:
        return index not in described(send, index)
    except Refused as error:
        if error.status != FORBIDDEN:
            raise
        return None


def _hashes(row: Row) -> Iterator[str]:
    for path in HASHES:
        if is_text_hash(found := value_at(row.fields, path)):
            yield found


def _send(connection: str) -> Send:
    from opensearch_batch.cluster.hook import MLCommonsHook

    return MLCommonsHook(connection).send
