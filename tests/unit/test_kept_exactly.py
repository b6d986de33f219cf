"""An index of provenance tells vectors by their numbers: an index that answers with other numbers is refused."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.index_mapping import PROVENANCE, refuse_unwritable
from opensearch_batch.write_back_section import WriteBackSection

DERIVED = {"knn": "true", "knn.derived_source": {"enabled": "true"}}
WHOLE = {"knn": "true"}


def described(settings: dict[str, Any], **method: str) -> dict[str, Any]:
    vector = {"type": "knn_vector", "dimension": 8, "method": {"name": "hnsw", **method}}
    fields = {"vector": vector, "vector_provenance": {"properties": PROVENANCE}}
    return {"articles": {"settings": {"index": settings}, "mappings": {"properties": fields}}}


def section(**place: str) -> WriteBackSection:
    return WriteBackSection.model_validate({"vector_field": "vector", **place})


@pytest.mark.parametrize("engine", [{"engine": "faiss"}, {}], ids=["faiss", "the server's default"])
def test_vectors_that_are_scaled_and_read_from_the_index_are_refused(engine: dict[str, str]) -> None:
    about = described(DERIVED, space_type="cosinesimil", **engine)
    with pytest.raises(SpecError, match="articles does not keep the vectors as they are written"):
        refuse_unwritable(about, section(provenance_index="noted"), 8, has_chunks=False)
    refuse_unwritable(about, section(), 8, has_chunks=False)


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        (WHOLE, {"engine": "faiss", "space_type": "cosinesimil"}),
        (DERIVED, {"engine": "lucene", "space_type": "cosinesimil"}),
        (DERIVED, {"engine": "faiss", "space_type": "l2"}),
    ],
    ids=["kept in _source", "lucene", "another space"],
)
def test_vectors_that_stay_as_they_are_pass(settings: dict[str, Any], method: dict[str, str]) -> None:
    refuse_unwritable(described(settings, **method), section(provenance_index="noted"), 8, has_chunks=False)
