"""The record of vectors that are paid for: found by hash, whatever the number of files, and made one file of many."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from opensearch_batch.reuse import record
from opensearch_batch.reuse.record import Entry, add_entries, compact, files_in, find


def entries(count: int, seed: int, day: int = 20_000) -> list[Entry]:
    made = random.Random(seed)
    return [Entry(made.randbytes(16), f"file:///results-{seed}.jsonl", n * 100, 100, day) for n in range(count)]


def asked(*hashes: bytes) -> bytes:
    return b"".join(sorted(set(hashes)))


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return f"file://{tmp_path}/record"


def test_each_known_hash_is_found_and_no_other(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "GROUP_ROWS", 100)
    known = {seed: entries(350, seed) for seed in range(3)}
    for seed, some in known.items():
        assert add_entries(folder, f"run-{seed}", some) == 350
    wanted = [one for some in known.values() for one in some[::7]]
    strangers = [one.hash for one in entries(100, seed=9)]
    found = list(find(folder, asked(*strangers, *(one.hash for one in wanted))))
    assert sorted(found) == sorted(wanted)


def test_nothing_is_found_where_there_is_nothing(folder: str) -> None:
    assert list(find(folder, asked(b"h" * 16))) == []
    assert add_entries(folder, "run", []) == 0
    assert files_in(folder) == []


def test_entries_older_than_a_day_are_not_found(folder: str) -> None:
    old, new = entries(5, seed=1, day=100), entries(5, seed=2, day=200)
    add_entries(folder, "old", old)
    add_entries(folder, "new", new)
    everything = asked(*(one.hash for one in [*old, *new]))
    assert sorted(find(folder, everything, oldest_day=150)) == sorted(new)


@pytest.mark.parametrize("part_rows", [50, 1_000_000])
def test_many_files_become_one_with_the_newest_entry_of_each_hash(
    folder: str, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(record, "PART_ROWS", part_rows)
    shared = entries(10, seed=99)
    for seed in range(record.MOST_FILES + 1):
        newer = [one._replace(uri=f"file:///newer-{seed}.jsonl", day=one.day + seed) for one in shared]
        add_entries(folder, f"run-{seed:02d}", [*entries(20, seed), *newer])
    assert compact(folder, "all") == record.MOST_FILES + 1
    assert files_in(folder) == ["all.parquet"]
    known = [one for seed in range(record.MOST_FILES + 1) for one in entries(20, seed)]
    found = list(find(folder, asked(*(one.hash for one in [*known, *shared]))))
    assert len(found) == len(known) + len(shared)
    assert {one.uri for one in found if one.hash in {each.hash for each in shared}} == {
        f"file:///newer-{record.MOST_FILES}.jsonl"
    }


def test_few_files_stay(folder: str) -> None:
    add_entries(folder, "run", entries(5, seed=1))
    assert compact(folder, "all") == 0
    assert files_in(folder) == ["run.parquet"]
