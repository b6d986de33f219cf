"""Folders that several processes remove at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsspec.implementations.local import LocalFileSystem

from opensearch_batch.storage import remove

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_file_that_another_process_removes_first_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prepared"
    (folder / "below").mkdir(parents=True)
    for name in ("a", "b", "below/c"):
        (folder / name).write_text("a row\n")
    rm_file, left = LocalFileSystem.rm_file, [True]

    def rm_file_after_another(self: LocalFileSystem, path: str) -> None:
        if left:
            left.clear()
            rm_file(self, path)
        rm_file(self, path)

    monkeypatch.setattr(LocalFileSystem, "rm_file", rm_file_after_another)
    remove(folder.as_uri(), recursive=True)
    assert not folder.exists()
