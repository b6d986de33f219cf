"""What a manifest lets be removed, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_batch.land.manifest import Manifest, landed_before, manifest_uri, remove_strays, write_manifest
from opensearch_batch.land.report import sum_up
from tests.unit.test_reconcile import landed, plan

STRAY = "results-key-00001-12345678.jsonl"


def manifest(folder: Path, shards: int, dag_id: str = "nightly", run_id: str = "run-1") -> Manifest:
    """Of a run of two shards, of which so many have landed."""
    report = sum_up(plan(20, 2), [landed(n) for n in range(shards)], manifest_uri(f"file://{folder}", "key"))
    return Manifest(version=1, dag_id=dag_id, run_id=run_id, written_at="now", spec={}, report=report, files=[])


@pytest.mark.parametrize(("shards", "left"), [(1, [STRAY]), (2, [])])
def test_no_result_is_removed_while_a_shard_is_absent(tmp_path: Path, shards: int, left: list[str]) -> None:
    """An earlier try may have landed the shard, and the provider's files may be gone."""
    (tmp_path / STRAY).write_text("")
    remove_strays(manifest(tmp_path, shards), "key")
    assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize(
    ("dag_id", "run_id", "shards", "is_ours"),
    [("nightly", "run-1", 2, True), ("nightly", "run-1", 1, False), ("nightly", "run-2", 2, False),
     ("hourly", "run-1", 2, False)],
)  # fmt: skip
def test_only_a_manifest_of_the_run_itself_says_what_it_landed(
    tmp_path: Path, dag_id: str, run_id: str, shards: int, is_ours: bool
) -> None:
    found = manifest(tmp_path, shards)
    write_manifest(found)
    other = manifest(tmp_path, 2, dag_id, run_id)
    assert landed_before(found.report.manifest, str(other.dag_id), str(other.run_id)) == is_ours


def test_without_a_manifest_nothing_has_landed_before(tmp_path: Path) -> None:
    assert not landed_before(f"file://{tmp_path}/manifest.json", "nightly", "run-1")
