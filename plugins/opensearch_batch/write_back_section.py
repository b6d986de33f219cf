"""The section `write_back` of a spec: where in its document a vector goes, and what is kept beside the vector."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opensearch_batch.input_section import Section


class WriteBackSection(Section):
    """The way of the vectors into the index that the documents were read from."""

    vector_field: str = Field(
        description="Field of type knn_vector that takes each document's vector. A vector is written only over the "
        "version of the document whose text was sent."
    )
    provenance_field: str = Field(
        "",
        description="Object field beside the vector: model, text_hash, run. The hash tells the next run which "
        "documents have not changed. Default: vector_field with _provenance.",
    )

    read: Literal["changed", "all"] = Field(
        "changed",
        description="Documents that a run reads: changed are those written since the last complete run, all reads the "
        "whole index again. Either way only documents are sent whose text has no vector of this model.",
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
    def hash_field(self) -> str:
        """Dotted path of the text's hash."""
        return f"{self.provenance}.text_hash"

    @property
    def provenance(self) -> str:
        """`provenance_field`, else the default."""
        return self.provenance_field or f"{self.vector_field}_provenance"
