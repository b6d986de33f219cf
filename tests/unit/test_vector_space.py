"""Engine and space of a vector field: what no server makes, and where other vectors than those by angle are nearest."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.beside.making import refuse_unmakable
from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.index_mapping import refuse_too_long
from opensearch_batch.prepare.vector_space import (
    METHOD,
    Lengths,
    created_by,
    doubt,
    engine_of,
    fitting,
    lengths_of,
    refusals,
    space_of,
)
from opensearch_batch.write_back_section import WriteBackSection

ONE = Lengths(20, 0.99995, 1.0001)
LONG = Lengths(20, 0.83, 12.5)


def field(dimension: int = 8, **method: Any) -> dict[str, Any]:
    return {"type": "knn_vector", "dimension": dimension, **({"method": {"name": "hnsw", **method}} if method else {})}


@pytest.mark.parametrize(
    ("mapping", "settings", "space"),
    [
        ({"method": {"space_type": "cosinesimil"}}, {}, "cosinesimil"),
        ({"space_type": "innerproduct"}, {}, "innerproduct"),
        ({"dimension": 3}, {}, "l2"),
        ({"dimension": 3}, {"knn": "true", "knn.space_type": "cosinesimil"}, "cosinesimil"),
    ],
    ids=["of the method", "of the field", "the default", "the index's default, 2.x"],
)
def test_the_space_of_a_field(mapping: dict[str, Any], settings: dict[str, Any], space: str) -> None:
    assert space_of(mapping, settings) == space


@pytest.mark.parametrize(
    ("mapping", "engine"),
    [({"method": {"engine": "Lucene"}}, "lucene"), ({"engine": "nmslib"}, "nmslib"), ({}, "faiss")],
)
def test_the_engine_of_a_field(mapping: dict[str, Any], engine: str) -> None:
    assert engine_of(mapping) == engine


@pytest.mark.parametrize(
    ("created", "version"),
    [("136408427", 2), ("137277827", 3), ("7100299", None), (None, None)],
    ids=["2.19.6", "3.6.0", "before OpenSearch", "not told"],
)
def test_the_version_that_made_an_index(created: str | None, version: int | None) -> None:
    assert created_by({"version": {"created": created}} if created else {}) == version


@pytest.mark.parametrize(
    ("mapping", "made_by", "words"),
    [
        (field(16_001, engine="lucene"), None, "vectors of 16001 numbers, and no engine takes more than 16000"),
        (field(engine="annoy"), None, "has the engine 'annoy'; there are faiss, lucene, nmslib"),
        (field(engine="lucene", space_type="l1"), None, "lucene compares vectors of floats by cosinesimil"),
        (field(space_type="linf"), None, "faiss compares vectors of floats by"),
        (field(engine="faiss", space_type="hamming"), None, "not by 'hamming'"),
        (field(engine="nmslib"), 3, "with which OpenSearch makes no index from 3.0 on"),
        ({"dimension": 8, "method": {"name": "ivf", "engine": "faiss"}}, None, "learn from vectors first"),
        (field(parameters={"encoder": {"name": "pq"}}), None, "learn from vectors first"),
    ],
)  # fmt: skip
def test_what_no_server_makes(mapping: dict[str, Any], made_by: int | None, words: str) -> None:
    [said] = refusals("v", mapping, made_by)
    assert said.startswith("v")
    assert words in said


@pytest.mark.parametrize(
    ("mapping", "made_by"),
    [
        (field(16_000, **METHOD), 3),
        (field(), None),
        (field(engine="faiss", space_type="innerproduct"), 3),
        (field(engine="nmslib", space_type="linf"), 2),
        (field(engine="nmslib"), None),
    ],
)
def test_what_a_server_may_make(mapping: dict[str, Any], made_by: int | None) -> None:
    assert [*refusals("v", mapping, made_by)] == []


def test_the_angle_is_never_in_doubt() -> None:
    for lengths in (None, ONE, LONG):
        assert doubt("v", field(**METHOD), {}, lengths) == ""
    said = "v compares by cosinesimil (lucene), which fits every embedding model"
    assert fitting("v", field(**METHOD), {}, None) == said


@pytest.mark.parametrize("space", ["l2", "innerproduct"])
def test_other_spaces_are_alike_where_all_vectors_have_length_1(space: str) -> None:
    mapping = field(engine="faiss", space_type=space)
    assert doubt("v", mapping, {}, ONE) == ""
    assert (
        fitting("v", mapping, {}, ONE)
        == f"v compares by {space} (faiss), and the model's vectors have length 1 (20 measured)"
    )
    assert doubt("v", mapping, {}, None).endswith("where all vectors have length 1: not known yet")
    said = doubt("v", mapping, {}, LONG)
    assert (
        f"v compares by {space} (faiss), and the model's vectors have lengths from 0.83 to 12.5 (20 measured)" in said
    )
    assert said.endswith('write_back.method: {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}')


@pytest.mark.parametrize("lengths", [None, ONE])
def test_a_space_of_no_embedding_model_is_always_in_doubt(lengths: Lengths | None) -> None:
    said = doubt("v", field(engine="nmslib", space_type="l1"), {}, lengths)
    assert said.startswith("v compares by l1 (nmslib), and embedding models are made for cosinesimil")


def test_lengths() -> None:
    assert lengths_of([]) is None
    assert lengths_of([[0.6, 0.8], [3.0, 4.0], [0.0, 0.0]]) == Lengths(3, 0.0, 5.0)
    assert Lengths(2, 0.9991, 1.0009).are_1
    assert not Lengths(2, 0.9989, 1.0).are_1


def test_vectors_too_long_for_every_engine_are_refused_by_their_length() -> None:
    section = WriteBackSection(vector_field="vector")
    refuse_too_long(section, 16_000)
    refuse_too_long(section, None)
    with pytest.raises(SpecError, match=r"vectors of 16001 numbers.*16000 at most.*Say a shorter length"):
        refuse_too_long(section, 16_001)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (field(engine="nmslib", space_type="l2"), "has the engine nmslib"),
        ({**field(), "data_type": "BYTE"}, "takes vectors of byte"),
    ],
)
def test_a_new_field_whose_length_only_the_model_knows_is_judged_before_it_is_made(
    old: dict[str, Any], words: str
) -> None:
    """With a length the server judges at once; without it would after all is paid."""
    about: dict[str, Any] = {"mappings": {"properties": {"vector": old}}, "settings": {"index": {}}}
    with pytest.raises(SpecError, match=words) as refused:
        refuse_unmakable("live", about, WriteBackSection(vector_field="vector", mode="beside"), None, 3)
    assert 'write_back.method: {"name": "hnsw", "engine": "lucene"' in str(refused.value)
    refuse_unmakable("live", about, WriteBackSection(vector_field="vector", mode="beside", method=METHOD), None, 3)
