"""Row fields: what a row's result gets from the row, by id, in whatever order answers come."""

from __future__ import annotations

from pathlib import Path

from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.row_fields import row_fields


def shard(folder: Path, *lines: str) -> Shard:
    path = folder / "fields.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return Shard(0, "", "", 1, 0, 0, fields_uri=f"file://{path}")


def test_a_row_has_its_fields_and_its_twins(tmp_path: Path) -> None:
    lines = ('["a",{"title":"A"}]', '["b",{"title":"B"},"a"]', '["c",{"title":"C"},"a"]')
    with row_fields([shard(tmp_path, *lines)]) as fields:
        assert (fields.of("a"), fields.of("c")) == ({"title": "A"}, {"title": "C"})
        assert sorted(twin.id for twin in fields.twins("a")) == ["b", "c"]
        assert (len(fields.twins("a")), len(fields.twins("b"))) == (2, 0)
        assert (fields.of("of another shard"), fields.line("of another shard")) == ({}, b"")


def test_a_shard_without_fields_has_rows_without_fields_or_twins() -> None:
    with row_fields([Shard(0, "", "", 1, 0, 0)]) as fields:
        assert (fields.of("a"), fields.line("a"), len(fields.twins("a"))) == ({}, b"", 0)
