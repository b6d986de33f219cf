"""The new index beside an alias's: what it takes over, and what no alias can be moved from."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.beside.aliased import the_index
from opensearch_batch.beside.making import body_of, index_name
from opensearch_batch.beside.notes import note_of
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.beside import IndexNote, Made
from opensearch_batch.flow.documents import IndexState
from opensearch_batch.write_back_section import WriteBackSection

NOTE = IndexNote(Made("live", "dag/run", IndexState("old", "u", {"0": "h"}, {"0": 7})))
OLD: dict[str, Any] = {
    "settings": {
        "index": {
            "uuid": "u",
            "version": {"created": "136408427"},
            "creation_date": "1",
            "provided_name": "old",
            "blocks": {"write": "true"},
            "append_only": {"enabled": "true"},
            "default_pipeline": "embed",
            "knn.derived_source": {"enabled": "true"},
            "number_of_shards": "3",
            "refresh_interval": "7s",
            "analysis": {"analyzer": {"own": {"type": "standard"}}},
        }
    },
    "mappings": {
        "dynamic": "strict",
        "_meta": {"owner": "team"},
        "properties": {
            "body": {"type": "text", "analyzer": "own"},
            "ml": {"properties": {"vector": {"type": "knn_vector", "dimension": 4, "space_type": "l2"}}},
        },
    },
}


def section(**values: Any) -> WriteBackSection:
    return WriteBackSection(vector_field="ml.vector", mode="beside", **values)


def test_settings_that_are_the_old_indexs_own_are_left_out() -> None:
    assert body_of(OLD, section(), 8, NOTE)["settings"]["index"] == {
        "number_of_shards": "3",
        "refresh_interval": "7s",
        "analysis": {"analyzer": {"own": {"type": "standard"}}},
        "knn": "true",
        "default_pipeline": "_none",
        "final_pipeline": "_none",
    }


def test_the_vector_field_has_the_models_length_and_all_else_as_before() -> None:
    mapping = body_of(OLD, section(), 8, NOTE)["mappings"]
    assert mapping["properties"]["ml"]["properties"]["vector"] == {
        "type": "knn_vector",
        "dimension": 8,
        "space_type": "l2",
    }
    assert (mapping["properties"]["body"], mapping["dynamic"]) == (OLD["mappings"]["properties"]["body"], "strict")
    assert mapping["_meta"]["owner"] == "team"
    assert note_of({"mappings": mapping}) == NOTE


def test_a_method_of_the_spec_takes_the_place_of_the_old_one() -> None:
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    field = body_of(OLD, section(method=method), 8, NOTE)["mappings"]["properties"]["ml"]["properties"]["vector"]
    assert field == {"type": "knn_vector", "dimension": 8, "method": method}


def test_without_a_length_the_field_waits() -> None:
    assert "vector" not in body_of(OLD, section(), None, NOTE)["mappings"]["properties"]["ml"]["properties"]
    assert OLD["mappings"]["properties"]["ml"]["properties"], "what was read stays as it is"


def test_the_name_is_the_runs() -> None:
    assert index_name("Live", "3f2a9c81de") == "live-3f2a9c81de"
    with pytest.raises(SpecError, match="takes 255 bytes"):
        index_name("a" * 250, "3f2a9c81de")


def test_a_data_stream_is_refused() -> None:
    """The server describes what lies behind its name, which is no alias."""
    described: dict[str, Any] = {".ds-logs-000001": {"aliases": {}, "mappings": {}, "settings": {}}}
    with pytest.raises(SpecError, match=r"'logs' is a data stream or a pattern \(.ds-logs-000001\)"):
        the_index(lambda call: described, "logs")


def test_a_note_of_another_version_is_none() -> None:
    assert note_of({"mappings": {"_meta": {"opensearch_batch": {"made": "otherwise"}}}}) == IndexNote()
