"""The record of vectors that are paid for: found by hash, whatever the number of files, and made one file of many."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest
from fsspec.implementations.local import LocalFileSystem

from opensearch_batch.reuse import compaction, record
from opensearch_batch.reuse.compaction import compact
from opensearch_batch.reuse.entries import Entries
from opensearch_batch.reuse.record import add, files_in, find
from opensearch_batch.storage import remove

if TYPE_CHECKING:
    import pyarrow


class Entry(NamedTuple):
    hash: bytes
    uri: str
    offset: int
    length: int
    day: int


def entries(count: int, seed: int, day: int = 20_000, uri: str = "") -> list[Entry]:
    made = random.Random(seed)
    uri = uri or f"file:///results-{seed}.jsonl"
    return [Entry(made.randbytes(16), uri, n * 100, 100, day) for n in range(count)]


def enter(folder: str, name: str, some: list[Entry], landed_at: float = 0.0) -> int:
    made = Entries(some[0].uri)
    for text_hash, _, offset, length, day in some:
        made.add(text_hash, offset, length, day)
    table = made.table()
    add(folder, name, table, landed_at)
    return len(table)


def asked(*some: list[Entry]) -> bytes:
    return b"".join(sorted({each.hash for one in some for each in one}))


def rows(table: pyarrow.Table) -> list[Entry]:
    return sorted(Entry(**row) for row in table.to_pylist())


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return f"file://{tmp_path}/record"


def test_each_known_hash_is_found_and_no_other(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "GROUP_ROWS", 100)
    known = [entries(350, seed) for seed in range(3)]
    for seed, some in enumerate(known):
        assert enter(folder, f"run-{seed}", some) == 350
    wanted = [one for some in known for one in some[::7]]
    newest, others = find(folder, asked(wanted, entries(100, seed=9)))
    assert rows(newest) == sorted(wanted)
    assert len(others) == 0


def test_nothing_is_found_where_there_is_nothing(folder: str) -> None:
    newest, others = find(folder, b"h" * 16)
    assert (len(newest), len(others), files_in(folder)) == (0, 0, [])


def test_entries_older_than_a_day_are_not_found(folder: str) -> None:
    old, new = entries(5, seed=1, day=100), entries(5, seed=2, day=200)
    enter(folder, "old", old)
    enter(folder, "new", new)
    assert rows(find(folder, asked(old, new), oldest_day=150)[0]) == sorted(new)


def test_the_newest_entry_of_a_hash_comes_first_and_the_older_after_it(folder: str) -> None:
    days = {day: entries(5, seed=1, day=day, uri=f"file:///of-day-{day}.jsonl") for day in (300, 100, 200)}
    for day, some in days.items():
        enter(folder, f"day-{day}", some)
    newest, others = find(folder, asked(days[100]))
    assert rows(newest) == sorted(days[300])
    assert rows(others) == sorted([*days[100], *days[200]])


def test_of_very_many_entries_the_newest_are_kept(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by the hashes that are asked for."""
    monkeypatch.setattr(record, "ASKED_AT_ONCE", 5)
    for day in range(20):
        enter(folder, f"day-{day:02d}", entries(5, seed=1, day=day))
    newest, others = find(folder, asked(entries(5, seed=1)))
    assert rows(newest) == sorted(entries(5, seed=1, day=19))
    assert len(others) <= 10


def test_a_hash_that_a_results_file_has_twice_is_one_entry(folder: str) -> None:
    some = entries(3, seed=1)
    again = [one._replace(offset=one.offset + 1000, day=one.day + 1) for one in some]
    assert enter(folder, "run", [*some, *again]) == 3
    assert rows(find(folder, asked(some))[0]) == sorted(again)


@pytest.mark.parametrize("part_rows", [50, 1_000_000])
def test_many_files_become_one_with_the_newest_entry_of_each_hash(
    folder: str, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(compaction, "PART_ROWS", part_rows)
    count = compaction.MOST_FILES + 1
    edges = [Entry(byte * 16, "file:///edges.jsonl", 0, 100, 20_000) for byte in (b"\x00", b"\xff")]
    enter(folder, "run-edges", edges)
    for seed in range(count - 1):
        enter(folder, f"run-{seed:02d}", [*entries(20, seed), *entries(10, seed=99, day=20_000 + seed)])
    assert compact(folder, "all") == count
    assert len(files_in(folder)) == 1
    known = [entries(20, seed) for seed in range(count - 1)]
    newest, others = find(folder, asked(edges, entries(10, seed=99), *known))
    shared = [one._replace(uri=f"file:///results-{count - 2}.jsonl") for one in entries(10, 99, 20_000 + count - 2)]
    found = {one.hash: one for one in rows(newest)}
    assert set(found) == {one.hash for some in (edges, shared, *known) for one in some}
    assert [(found[one.hash].uri, found[one.hash].day) for one in shared] == [(one.uri, one.day) for one in shared]
    assert len(others) == 0


def test_few_files_stay(folder: str) -> None:
    enter(folder, "run", entries(5, seed=1))
    assert compact(folder, "all") == 0
    assert files_in(folder) == ["run.parquet"]


def test_old_entries_stay_for_specs_that_take_vectors_of_any_age(folder: str) -> None:
    many = filled(folder, 33, day=lambda seed: 100 + seed)
    compact(folder, "all")
    assert len(find(folder, asked(*many), oldest_day=130)[0]) == 3 * 5
    assert len(find(folder, asked(*many))[0]) == 33 * 5


def test_a_range_of_hashes_without_entries_leaves_the_record_readable(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "PART_ROWS", 50)
    filled(folder, 33)
    enter(folder, "last", one := entries(1, seed=77))
    compact(folder, "all", is_there=lambda uri: uri == one[0].uri)
    assert rows(find(folder, asked(one))[0]) == one


def test_a_run_with_very_many_files_leaves_few_and_loses_no_text(folder: str) -> None:
    many = filled(folder, 100)
    assert compact(folder, "all") > 0
    assert len(files_in(folder)) <= compaction.MOST_FILES
    assert len(find(folder, asked(*many))[0]) == 100 * 5


def test_what_an_earlier_report_of_the_run_has_merged_is_not_written_over(folder: str) -> None:
    """A cleared report merges again, under the same name."""
    many = filled(folder, 40)
    compact(folder, "x")
    more = filled(folder, 40, first=40)
    compact(folder, "x")
    assert len(find(folder, asked(*many, *more))[0]) == 80 * 5


def test_of_equal_copies_the_one_that_landed_last_stays(folder: str) -> None:
    """Superseded results are removed: of last night's copies only tonight's will be there tomorrow."""
    same = entries(5, seed=1)
    for night in random.Random(3).sample(range(40), 40):
        copied = [one._replace(uri=f"file:///results-{night:x}-reused-ab.jsonl") for one in same]
        enter(folder, f"night-{night}", copied, landed_at=night)
    compact(folder, "all")
    assert {one.uri for one in rows(find(folder, asked(same))[0])} == {f"file:///results-{39:x}-reused-ab.jsonl"}


def test_of_results_that_are_gone_no_entry_takes_the_place_of_an_older_one(folder: str) -> None:
    old, new = entries(5, seed=1, day=100, uri="file:///old"), entries(5, seed=1, day=200, uri="file:///gone")
    enter(folder, "old", old)
    enter(folder, "new", new, landed_at=1)
    filled(folder, 32, first=50)
    assert rows(find(folder, asked(old), is_there=lambda uri: uri != "file:///gone")[0]) == sorted(old)
    compact(folder, "all", is_there=lambda uri: uri != "file:///gone")
    assert rows(find(folder, asked(old))[0]) == sorted(old)


def test_a_run_knows_the_texts_it_has_paid_for_also_after_others_have_copied_them(folder: str) -> None:
    paid, other = (entries(5, seed, uri=f"file:///results-run-0000{seed}.jsonl") for seed in (1, 2))
    enter(folder, "paid", [*paid, *other])
    for night in range(40):
        copied = [one._replace(uri=f"file:///results-{night}-reused-ab.jsonl") for one in paid]
        enter(folder, f"night-{night}", copied, landed_at=night + 1)
    for _ in ("before", "after"):
        assert len(find(folder, asked(paid, other), but_of="run")[0]) == 0
        assert len(find(folder, asked(paid, other), but_of="3")[0]) == 10
        compact(folder, "all")


def test_a_run_finds_again_what_it_has_copied(folder: str) -> None:
    copied = entries(5, seed=1, uri="file:///results-run-reused-ab.jsonl")
    enter(folder, "copied", copied)
    assert rows(find(folder, asked(copied), but_of="run")[0]) == sorted(copied)


def test_a_broken_file_keeps_no_others_from_becoming_few(folder: str, tmp_path: Path) -> None:
    filled(folder, 33)
    (tmp_path / "record" / "broken.parquet").write_bytes(b"no Parquet at all")
    compact(folder, "all")
    assert len(files_in(folder)) == 2


def test_files_that_another_run_merges_at_the_same_moment_are_passed_over(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = filled(folder, 40)
    listed = compaction._by_landing

    def gone_since(where: str) -> list[str]:
        if names := listed(where):
            remove(f"{where}/{names[0]}")
        return names

    monkeypatch.setattr(compaction, "_by_landing", gone_since)
    compact(folder, "all")
    assert len(find(folder, asked(*many))[0]) == 39 * 5


def test_a_file_that_goes_while_it_is_merged_leaves_the_record_as_it_is(
    folder: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Object storage reads a file after it was opened, and another run may have merged it by then."""
    many = filled(folder, 40)

    def gone_since(*_: object) -> NoReturn:
        raise FileNotFoundError(f"{folder}/run-007.parquet")

    monkeypatch.setattr(compaction, "_part", gone_since)
    assert compact(folder, "all") == 0
    assert "the record stays as it is until the next report" in caplog.text
    assert len(find(folder, asked(*many))[0]) == 40 * 5


def test_a_file_that_another_process_removes_first_is_no_error(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalFileSystem, "exists", lambda *_, **__: True)  # as it was at the look
    remove(f"{folder}/gone.parquet")


def filled(
    folder: str, count: int, first: int = 0, day: Callable[[int], int] = lambda seed: 20_000
) -> list[list[Entry]]:
    """Five entries a file."""
    many = [entries(5, seed, day=day(seed)) for seed in range(first, first + count)]
    for number, some in enumerate(many):
        enter(folder, f"run-{first + number:03d}", some, landed_at=first + number)
    return many
