"""Parents: the objects of a document into which a vector and its provenance go.

A partial document has one object where the document may have a list of objects: a server puts the object in the place
of the list. A mapping tells nothing of lists, and a filter of _source by leaves shows none whose objects have no such
leaf; so the objects are read whole, of the documents that are about to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opensearch_batch.cluster import documents
from opensearch_batch.cluster.described import Send
from opensearch_batch.cluster.documents import Found
from opensearch_batch.dotted import not_an_object, value_at
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.sources.index_rows import DOCUMENT
from opensearch_batch.sources.rows import Row
from opensearch_batch.write_back_section import WriteBackSection

AT_ONCE = 100
"""Documents whose parents are read at once: other vectors may lie in them."""


class Parents:
    """`fields` are the outermost objects; empty where all that is written lies at the top of a document."""

    def __init__(self, section: WriteBackSection, *, has_chunks: bool) -> None:
        self._paths = section.written(has_chunks=has_chunks)
        within = [path for path in self._paths if "." in path]
        if not section.provenance_field and "." not in section.provenance:
            within = [path for path in within if path not in section.provenance_leaves]  # an object of our own name
        self.fields = sorted({path.partition(".")[0] for path in within})

    def wrong_in(self, source: Mapping[str, Any]) -> str | None:
        """Return why nothing can be written into a document with these fields; None where it can."""
        for path in self._paths:
            if (parent := not_an_object(source, path)) is not None:
                what = "a list" if isinstance(value_at(source, parent), list) else "no object"
                return f"{parent!r} is {what}, which {path} would replace: nothing can be written into this document"
        return None

    def wrong_of(self, rows: Sequence[Row], send: Send) -> Iterator[str | None]:
        """Yield for each row of an index why nothing can be written into its document. Raise BatchError."""
        if not self.fields:
            yield from [None] * len(rows)
            return
        for begin in range(0, len(rows), AT_ONCE):
            wanted = [_address(row.fields[DOCUMENT], self.fields) for row in rows[begin : begin + AT_ONCE]]
            found: list[Found] = send(documents.get_documents(wanted))
            for document in found:
                if document.error:
                    kind = Refused if "security_exception" in document.error else Unavailable
                    raise kind(f"a document cannot be read: {document.error}")
                yield self.wrong_in(document.source or {})


def _address(document: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    routing = {"routing": document["routing"]} if "routing" in document else {}
    return {"_index": document["index"], "_id": document["id"], "_source": fields, **routing}
