"""Names of wanted rows: a row is named by its document, or, with input.chunks, by its document and a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from opensearch_batch.flow.chunks import row_of
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.sources.index_rows import SCHEME
from opensearch_batch.spec import BatchSpec


@dataclass(frozen=True)
class RowNames:
    """A container of the names that rows of the documents `ids` have. `chunks` where names may be of chunks: then a
    row that is no chunk, e.g. a document that could not be cut, has its document's own name still.
    """

    ids: frozenset[str]
    chunks: bool = False

    def __contains__(self, name: object) -> bool:
        return name in self.ids or (self.chunks and isinstance(name, str) and row_of(name) in self.ids)

    def of(self, manifest: Manifest | None) -> RowNames:
        """The names in files of a run; of one that does not tell its spec chunks may be."""
        if manifest is None or not manifest.spec:
            return self
        return RowNames(self.ids, self.chunks and has_chunks(manifest))

    def in_manifest(self, manifest: Manifest) -> RowNames:
        """The names in the manifest itself, which tells of documents too: by their own ids, where the run has read
        several indices, and its rows are index/id. A manifest of an earlier version does not tell.
        """
        names = self.of(manifest)
        is_of_index = str(manifest.spec.get("input", {}).get("uri", "")).startswith(SCHEME)
        if not is_of_index or (manifest.report.indices and len(manifest.report.indices) == 1):
            return names
        return RowNames(names.ids | {each.partition("/")[2] for each in names.ids if "/" in each}, names.chunks)


def names_of(spec: BatchSpec, ids: frozenset[str], manifests: Iterable[Manifest]) -> RowNames:
    return RowNames(ids, spec.input.chunks is not None or any(map(has_chunks, manifests)))


def has_chunks(manifest: Manifest) -> bool:
    return manifest.spec.get("input", {}).get("chunks") is not None


class ChunkOf(msgspec.Struct):
    """Of a line that is a chunk: its document's row."""

    of: str


class RowLine(msgspec.Struct):
    """A line of results, of failures, or of rows that wait."""

    id: str | None = None
    code: str = ""
    text_hash: str | None = msgspec.field(default=None, name="_text_hash")
    chunk: ChunkOf | None = msgspec.field(default=None, name="_chunk")

    def is_of(self, names: RowNames) -> bool:
        """A line that tells its document needs no guess by the name."""
        return self.chunk.of in names.ids if self.chunk else self.id in names
