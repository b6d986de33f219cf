"""Made fields: what a spec's runs write into a document, and how documents that have them are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opensearch_batch.dotted import value_at
from opensearch_batch.prepare.index_mapping import field_at
from opensearch_batch.spec import BatchSpec


@dataclass(frozen=True)
class MadeFields:
    """Dotted paths. `chunks` is the nested field of the chunks, with the vector in it; "" without input.chunks.
    `provenance` are leaves, `hash` among them: the owner may have more in their object.
    """

    vector: str
    chunks: str
    provenance: tuple[str, ...]
    hash: str

    @property
    def leaves(self) -> list[str]:
        """Of the hashes: of the text, and of each chunk."""
        return [self.hash, *([f"{self.chunks}.text_hash"] if self.chunks else [])]

    @property
    def whole(self) -> str:
        """What holds the vector, or all vectors and the texts beside them."""
        return self.chunks or self.vector

    @property
    def has_them(self) -> dict[str, Any]:
        """The query of documents with a vector."""
        exists = {"exists": {"field": self.vector}}
        return {"nested": {"path": self.chunks, "query": exists}} if self.chunks else exists

    def may_be_in(self, mapping: Mapping[str, Any]) -> bool:
        found = field_at(mapping, self.whole)
        return found is not None and (not self.chunks or found.get("type") == "nested")

    def hashes_in(self, fields: Mapping[str, Any]) -> Iterator[Any]:
        yield value_at(fields, self.hash)
        chunks = value_at(fields, self.chunks) if self.chunks else None
        for each in chunks if isinstance(chunks, list) else [chunks]:
            yield value_at(each, "text_hash")


def made_fields(spec: BatchSpec) -> MadeFields | None:
    """None where a spec's runs write nothing back."""
    back = spec.write_back
    if back is None:
        return None
    chunks = back.chunks_field if spec.input.chunks else ""
    return MadeFields(back.vector_field, chunks, tuple(back.provenance_leaves), back.hash_field)
