"""A tag tells contents apart, and stays: a later release that lands the same again writes the same names."""

from __future__ import annotations

from pathlib import Path

from opensearch_batch.land.tag import tag_of


def test_a_tag_is_the_same_in_every_release(tmp_path: Path) -> None:
    (tmp_path / "fields.jsonl").write_text('["a",{}]\n')
    assert tag_of("key", "batch_1") == "af09abbe"
    assert tag_of("key", "batch_1", uris=[f"file://{tmp_path}/fields.jsonl"]) == "b9536459"
    assert tag_of("key", "batch_2") != tag_of("key", "batch_1")
