"""Sidecar: provenance in an index of its own, read for the documents of another.

An entry that says nothing of a document's version is held against the vector itself, which is read for these documents
only: others have written there since, or a task was killed between the vector and its entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from opensearch_batch.cluster import documents, indices
from opensearch_batch.cluster.described import About, Send, described
from opensearch_batch.cluster.documents import Found
from opensearch_batch.cluster.indices import Held
from opensearch_batch.dotted import value_at
from opensearch_batch.errors import Refused, SpecError, Unavailable
from opensearch_batch.flow.documents import DocumentVersion, IndexState
from opensearch_batch.flow.provenance import MAPPING, SidecarEntry, Statement, key_of, vector_hash
from opensearch_batch.sources.checkpoint import Checkpoint
from opensearch_batch.sources.index_rows import DOCUMENT, IndexSource
from opensearch_batch.sources.rows import Row

VECTORS_AT_ONCE = 100
"""Vectors that are read at once."""


class Sidecar:
    """The entries of one vector field, for documents of the indices `uuids`. `uuid` is the sidecar's own, None where
    there is no such index yet: then nothing is noted.
    """

    def __init__(self, send: Send, name: str, uuid: str | None, field: str, uuids: Mapping[str, str]) -> None:
        self._send, self.name, self.uuid = send, name, uuid
        self._field, self._uuids = field, uuids

    def have_vectors(self, found: Sequence[DocumentVersion], hashes: Sequence[str]) -> list[bool]:
        """Whether each document has the vector of a text with this hash. Raise BatchError."""
        told = self._told(found, lambda at, entry: any(each.text_hash == hashes[at] for each in entry.statements))
        return [
            statement is not None and statement.text_hash == made_of
            for (_, statement), made_of in zip(told, hashes, strict=True)
        ]

    def text_hashes(self, found: Sequence[DocumentVersion]) -> list[str | None]:
        """Return the hash of the text of each document's vector; None for a vector of which nothing is noted."""
        told = self._told(found, lambda at, entry: True)
        return [None if statement is None else statement.text_hash for _, statement in told]

    def are_of(self, found: Sequence[DocumentVersion], model: str) -> list[bool]:
        """Whether the vector of each of these documents, which have one, is this model's. A vector that others have
        put in the place of one that was noted, or was coming, passes: its document is read, and gets its own again.
        """
        told = self._told(found, lambda at, entry: entry.coming is not None)
        likely = [statement or ((entry.noted or entry.coming) if entry else None) for entry, statement in told]
        return [statement is not None and statement.model == model for statement in likely]

    def entries(self, found: Sequence[DocumentVersion]) -> list[SidecarEntry | None]:
        """Return the entry of each document; None where nothing is noted."""
        if self.uuid is None or not found:
            return [None] * len(found)
        wanted = [{"_index": self.name, "_id": key_of(each, self._field)} for each in found]
        answers: list[Found] = self._send(documents.get_documents(wanted))
        _refuse_unread(self.name, (each.error for each in answers))
        return [None if each.source is None else SidecarEntry.from_dict(each.source) for each in answers]

    def count_of(self, run: str) -> int:
        """Count the entries of a run's vectors in these very indices, and of vectors that were about to be written."""
        if self.uuid is None:
            return 0
        self._send(documents.refresh(self.name))
        noted = [{"term": {"noted.run": run}}, {"terms": {"noted.uuid": sorted(self._uuids.values())}}]
        of_run = {"bool": {"should": [{"bool": {"filter": noted}}, {"term": {"coming.run": run}}]}}
        mine = [{"terms": {"index": sorted(self._uuids)}}, {"term": {"field": self._field}}, of_run]
        counted: int = self._send(documents.count_documents(self.name, {"bool": {"filter": mine}}))
        return counted

    def _told(
        self, found: Sequence[DocumentVersion], is_worth_a_look: Callable[[int, SidecarEntry], bool]
    ) -> list[tuple[SidecarEntry | None, Statement | None]]:
        """Return the entry of each document, and what it says of the vector that the document has now; where it says
        nothing of this very version, the vector is looked at if that is worth it.
        """
        told: list[tuple[SidecarEntry | None, Statement | None]] = []
        doubtful = []
        for at, (document, entry) in enumerate(zip(found, self.entries(found), strict=True)):
            noted = entry.noted if entry else None
            certain = noted if noted and noted.is_of(document, self._uuids.get(document.index)) else None
            told.append((entry, certain))
            if entry and not certain and is_worth_a_look(at, entry):
                doubtful.append((at, document, entry))
        for begin in range(0, len(doubtful), VECTORS_AT_ONCE):
            part = doubtful[begin : begin + VECTORS_AT_ONCE]
            for (at, _, entry), vector in zip(part, self._vectors([each[1] for each in part]), strict=True):
                told[at] = entry, entry.statement_of(vector)
        return told

    def _vectors(self, found: Sequence[DocumentVersion]) -> list[str | None]:
        """Return the hashes of the vectors that documents have now."""
        wanted = [_address(document) | {"_source": [self._field]} for document in found]
        answers: list[Held] = self._send(indices.held_documents(wanted))
        _refuse_unread("the documents", (each.error for each in answers))
        return [vector_hash(value_at(held.source, self._field)) for held in answers]


def open_sidecar(send: Send, name: str, field: str, states: Sequence[IndexState]) -> Sidecar:
    """Look at a sidecar index. Raise SpecError where the name is another's; no such index yet is no error."""
    uuids = {state.index: state.uuid for state in states}
    found = described(send, name)
    if not found:
        return Sidecar(send, name, None, field, uuids)
    wrong = not_a_sidecar(name, found)
    if wrong or name in uuids:
        raise SpecError(
            f"write_back.provenance_index: {name} {wrong or 'is the index of the documents'}. Name an index that is "
            "not there yet, and the run makes it"
        )
    return Sidecar(send, name, found[name]["settings"]["index"]["uuid"], field, uuids)


def refuse_another_sidecar(send: Send, sidecar: Sidecar) -> None:
    """Raise Refused where the index is gone, or was made again: a write would make one of another mapping, and what
    was noted before would not be there. No waiting cures that.
    """
    about = described(send, sidecar.name).get(sidecar.name)
    if about is None or about["settings"]["index"]["uuid"] != sidecar.uuid:
        raise Refused(
            f"{sidecar.name}, the index of write_back.provenance_index, was removed or made again while vectors were "
            "written. Clear this task: it makes the index where it is gone, and notes all vectors; nothing is sent to "
            "the provider again"
        )


def not_a_sidecar(name: str, found: Mapping[str, About]) -> str:
    """Return why what the cluster has of that name is no sidecar; empty for one that is."""
    if found.keys() != {name}:
        return f"is an alias of {', '.join(sorted(found))}"
    mapping = found[name]["mappings"]
    if mapping.get("properties") != MAPPING["properties"] or mapping.get("dynamic") != MAPPING["dynamic"]:
        fields = ", ".join(sorted(mapping.get("properties", {}))) or "no field"
        return f"is no index of provenance: its mapping is another ({fields})"
    return ""


class InSidecar:
    """Provenance of the documents of a source. `after` is the checkpoint up to which all of them were looked at."""

    AT_ONCE = 500

    def __init__(
        self, sidecar: Sidecar, source: IndexSource, after: Checkpoint | None, has_vector: Mapping[str, Any]
    ) -> None:
        self._sidecar, self._source, self._after, self._has_vector = sidecar, source, after, has_vector

    def have_vectors(self, rows: Sequence[Row], hashes: Sequence[str]) -> list[bool]:
        return self._sidecar.have_vectors([_version(row) for row in rows], hashes)

    def written_by(self, run: str) -> int:
        """Vectors of which a killed task did not see the answer count too, and those that the index did not take."""
        return self._sidecar.count_of(run)

    def with_vectors_of_others(self, model: str) -> int:
        """Look at the documents that were written since the checkpoint: those before had the model's vectors then."""
        with_vectors = replace(self._source, name="", query=self._has_vector, fields=(), asked=False)
        rows = with_vectors.rows(self._after)
        count = 0
        while some := [_version(row) for row in islice(rows, self.AT_ONCE)]:
            count += self._sidecar.are_of(some, model).count(False)
        return count


def _version(row: Row) -> DocumentVersion:
    return msgspec.convert(row.fields[DOCUMENT], DocumentVersion)


def _address(document: DocumentVersion) -> dict[str, Any]:
    routing = {} if document.routing is None else {"routing": document.routing}
    return {"_index": document.index, "_id": document.id, **routing}


def _refuse_unread(name: str, errors: Iterator[str]) -> None:
    for error in errors:
        if error:
            if "index_closed_exception" in error:
                raise Refused(f"{name} cannot be read: it is closed: POST {name}/_open")
            kind = Refused if "security_exception" in error else Unavailable
            raise kind(f"{name} cannot be read: {error}")
