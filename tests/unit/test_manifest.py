"""What a manifest lets be removed, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_batch.land.followed import follow, followed_uri
from opensearch_batch.land.manifest import Manifest, landed_before, manifest_uri, remove_strays, write_manifest
from opensearch_batch.land.report import sum_up
from tests.unit.test_reconcile import landed, plan

STRAY = "results-key-00001-12345678.jsonl"


def manifest(folder: Path, shards: int, key: str = "key") -> Manifest:
    """Of a run of two shards, of which so many have landed."""
    report = sum_up(plan(20, 2), [landed(n) for n in range(shards)], manifest_uri(f"file://{folder}", key))
    return Manifest(version=1, dag_id="nightly", run_id="run-1", written_at="now", spec={}, report=report, files=[])


@pytest.mark.parametrize(("shards", "left"), [(1, [STRAY]), (2, [])])
def test_no_result_is_removed_while_a_shard_is_absent(tmp_path: Path, shards: int, left: list[str]) -> None:
    """An earlier try may have landed the shard, and the provider's files may be gone."""
    (tmp_path / STRAY).write_text("")
    remove_strays(manifest(tmp_path, shards), "key")
    assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize(("key", "shards", "is_ours"), [("key", 2, True), ("key", 1, False), ("other", 2, False)])
@pytest.mark.parametrize("is_followed", [False, True])
def test_only_a_manifest_of_the_run_itself_says_what_it_landed(
    tmp_path: Path, key: str, shards: int, is_ours: bool, is_followed: bool
) -> None:
    found = manifest(tmp_path, shards)
    write_manifest(found)
    follow(found, "key")
    read = followed_uri(found.report.manifest) if is_followed else found.report.manifest
    assert landed_before(read, manifest_uri("s3://moved/out", key)) == is_ours


def test_without_a_manifest_nothing_has_landed_before(tmp_path: Path) -> None:
    own = manifest_uri(f"file://{tmp_path}", "key")
    assert not landed_before(own, own)
