"""Which manifest readers follow: of a run with no fewer answered rows than before, or of the same run's later try."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_batch.errors import InputError
from opensearch_batch.land.followed import followed_at, followed_uri, landed_less
from opensearch_batch.land.manifest import Manifest, as_json
from tests.unit.test_manifest import manifest


def followed_by(folder: Path, shards: int) -> Manifest:
    """Readers follow the run of the key "two", of which so many shards of ten rows have landed."""
    (folder / "manifest.json").write_bytes(as_json(manifest(folder, shards, "two")))
    return manifest(folder, 1, "two")


@pytest.mark.parametrize(("key", "why"), [("two", ""), ("one", "this run answered 10 rows")])
def test_only_the_runs_own_later_try_may_have_answered_fewer_rows(tmp_path: Path, key: str, why: str) -> None:
    """Another flow of the same run has a key of its own, too."""
    own = followed_by(tmp_path, 2)
    before = followed_at(followed_uri(own.report.manifest))
    less = landed_less(before, manifest(tmp_path, 1, key))
    assert (less or "").startswith(why)
    assert bool(less) == bool(why)


def test_another_object_under_the_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('["no manifest"]')
    with pytest.raises(InputError, match=r"manifest\.json: not a manifest of this version"):
        followed_at(f"file://{tmp_path}/manifest.json")


def test_a_run_with_as_many_rows_or_more_is_followed_and_so_is_the_first(tmp_path: Path) -> None:
    own = followed_by(tmp_path, 1)
    uri = followed_uri(own.report.manifest)
    for shards in (1, 2):
        assert landed_less(followed_at(uri), manifest(tmp_path, shards, "three")) is None
    (tmp_path / "manifest.json").unlink()
    assert followed_at(uri) is None
    assert landed_less(None, own) is None
