"""The section `write_back` of a spec: where in its document a vector goes, and what is kept beside the vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from opensearch_batch.dotted import value_at, with_dotted
from opensearch_batch.errors import SpecError
from opensearch_batch.section import Section

PROVENANCE_LEAVES = ("model", "text_hash", "run")
OF_A_CHUNK = frozenset({"text", "text_hash", "start", "end"})
"""Names beside the vector in the nested object of a chunk."""


class WriteBackSection(Section):
    """The way of the vectors into the index that the documents were read from."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"vector_field": "embedding"}

    vector_field: str = Field(
        description="Field of type knn_vector that takes each document's vector. A vector is written only over a "
        "version of the document that has the text that was sent. With input.chunks a field of a nested field, e.g. "
        "chunks.embedding; the nested field takes the document's chunks."
    )
    provenance_field: str = Field(
        "",
        description="Object field beside the vector: model, text_hash, run; its other fields stay. The hash tells the "
        "next run which documents have not changed. Default: vector_field, or the nested field of chunks, with "
        "_provenance.",
    )

    provenance_index: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        max_length=200,
        examples=["article-provenance"],
        description="Name of a sidecar index that takes the provenance in place of a field, for an index whose mapping "
        "is not yours to change: the vector is all that goes into the document. It is made where it is not there, on "
        "the same cluster; several specs may share it. Not with provenance_field, and not with input.chunks.",
    )

    read: Literal["changed", "all"] = Field(
        "changed",
        description="Documents that a run reads: changed are those written since the last complete run, all reads the "
        "whole index again. Either way only documents are sent whose text has no vector of this model.",
    )

    mode: Literal["in_place", "beside"] = Field(
        "in_place",
        description="in_place writes into the index that is read. beside, for an input that is an alias of one index: "
        "a new index is made and filled, and the alias moves to it at once when all is there; for another model.",
    )

    method: dict[str, Any] | None = Field(
        None,
        description="With beside, the method of the new index's vector field: name, engine, space_type. Default: as in "
        "the alias's index, else hnsw of lucene with cosinesimil.",
    )

    max_without_vector: float = Field(
        0.01,
        ge=0,
        le=1,
        description="With beside, share of the documents with a text that may have no vector when the alias moves, "
        "because they failed or were edited meanwhile. The next run in place fills them.",
    )

    remove_older: bool = Field(
        False,
        description="With beside, whether the index before the one that is kept for a rollback is deleted when the "
        "alias has moved. Otherwise it is named only.",
    )

    on_model_change: Literal["error", "replace"] = Field(
        "error",
        description="When documents have vectors of another model: error refuses the run with their number, because "
        "until its end searches would compare vectors of both; replace makes all anew.",
    )

    when_too_large: Literal["error", "pass"] = Field(
        "error",
        description="When graphs need more memory, or vectors more disk, than the cluster is estimated to have: error "
        "refuses the run with the figures, pass says so in the log and goes on.",
    )

    @property
    def is_beside(self) -> bool:
        return self.mode == "beside"

    @property
    def hash_field(self) -> str:
        """Dotted path of the text's hash."""
        return f"{self.provenance}.text_hash"

    @property
    def chunks_field(self) -> str:
        """Dotted path of the nested field, with input.chunks; "" for a vector_field at the top."""
        return self.vector_field.rpartition(".")[0]

    @property
    def provenance(self) -> str:
        """`provenance_field`, else the default."""
        return self.provenance_field or f"{self.vector_field}_provenance"

    @property
    def provenance_leaves(self) -> list[str]:
        """Dotted paths. What else lies in the same object is the owner's."""
        return [f"{self.provenance}.{name}" for name in PROVENANCE_LEAVES]

    def written(self, *, has_chunks: bool) -> list[str]:
        """Dotted paths of all that a partial document sets."""
        leaves = [] if self.provenance_index else self.provenance_leaves
        return [self.chunks_field if has_chunks else self.vector_field, *leaves]

    def refuse_two_places(self, index: str, *, has_chunks: bool) -> None:
        """Raise SpecError where a sidecar index is named, and does not go together with the rest. `index` is the one
        that is read.
        """
        if self.provenance_index is None:
            return
        if has_chunks:
            raise SpecError(
                "write_back.provenance_index is for one vector a document. Documents with input.chunks keep theirs: "
                "their mapping needs a nested field for the chunks anyway. Leave provenance_index out"
            )
        if self.provenance_field:
            raise SpecError("write_back: provenance_field and provenance_index are two places: name one of them")
        if self.provenance_index == index:
            raise SpecError(f"write_back.provenance_index: {index} is the index of the documents. Name another")

    def refuse_no_place_for_chunks(self) -> None:
        """Raise SpecError where these fields do not take a document's chunks."""
        above, _, vector = self.vector_field.rpartition(".")
        if not above:
            raise SpecError(
                "input.chunks makes several vectors of a document: write_back.vector_field is the field in each chunk, "
                f"e.g. chunks.{vector}, of which chunks is a nested field"
            )
        if vector in OF_A_CHUNK:
            raise SpecError(f"write_back.vector_field: a chunk has its own {vector}; name the vector otherwise")
        if self.provenance.startswith(f"{above}."):
            raise SpecError(f"write_back.provenance_field is of the document: it cannot lie in {above}")


def provenance_beside_chunks(values: dict[str, Any]) -> dict[str, Any]:
    """Return a spec's values with the default place of the provenance, where there are chunks: a document has many
    vectors and one provenance, so that the provenance lies beside the nested field, not in it.
    """
    field, named = (value_at(values, f"write_back.{key}") for key in ("vector_field", "provenance_field"))
    if value_at(values, "input.chunks") is None or named or not isinstance(field, str) or "." not in field:
        return values
    return with_dotted(values, {"write_back.provenance_field": f"{field.rpartition('.')[0]}_provenance"})
