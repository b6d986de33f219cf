"""The section `parity` of a spec: a sample of the written vectors is held against the model's online answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from opensearch_batch.section import Section


class ParitySection(Section):
    """How many documents are embedded again by the cluster's `_predict`, and how near the vectors must come."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"sample": 200}

    sample: int = Field(
        200,
        ge=1,
        le=5000,
        description="Documents embedded again, each by a single prediction at the online price.",
    )
    least_cosine: float = Field(
        0.999, gt=0, le=1, description="Between each document's vector and the model's online answer to its text."
    )
    queries: int = Field(
        50,
        ge=0,
        description="Of the sample's texts, so many are searched for too: the index's own nearest neighbours against "
        "exact search over all vectors, which reads every vector once a query. 0: none.",
    )
    least_recall: float = Field(
        0.9, ge=0, le=1, description="Share of the ten nearest documents, over all queries, that the index must find."
    )
    k: int = Field(
        100,
        ge=10,
        le=10_000,
        description="Neighbours each query asks for. OpenSearch 2.x searches only as wide as k; with 10 its recall "
        "would be far lower than that of 3.x.",
    )
    when_incomparable: Literal["error", "pass"] | None = Field(
        None,
        description="When nothing can be compared, e.g. because the model answers batches only: error refuses, pass "
        "says so in the report. Default: error before an alias is moved, pass after a fill in place.",
    )
