"""Check that ids are unique over 1,000,000 short rows (at scale 1): on disk, as `read_records` does, and in memory."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import Benchmark, Side, Task, Unequal

ROWS = 1_000_000
INPUT, REPEATED = "ids.jsonl", "repeated.jsonl"

BENCHMARK = Benchmark(
    name="unique_ids",
    title="read short rows with random ids, each id checked (`records.read_records`)",
    sides=(
        Side("ours", "unique_ids:on_disk"),
        Side("the same with a Python `set`", "unique_ids:in_memory"),
        Side("the same without the check", "unique_ids:unchecked"),
    ),
    make="unique_ids:make",
    check="unique_ids:check",
)


def make(task: Task) -> Work:
    """Random ids are the worst case of an index on disk: each goes to another page."""

    def work() -> dict[str, Any]:
        chance, rows = random.Random(1), task.of(ROWS)
        with task.path(INPUT).open("w") as out:
            out.writelines(f'{{"id": "{chance.getrandbits(64):016x}", "text": "a short text"}}\n' for _ in range(rows))
        task.path(REPEATED).write_text('{"id": "a", "text": "x"}\n{"id": "b", "text": "x"}\n{"id": "a", "text": "x"}\n')
        return {"rows": rows, "bytes": task.path(INPUT).stat().st_size}

    return work


class Kept:
    """Stands for `records.SeenIds`, in memory."""

    def __init__(self, db: object) -> None:
        self._ids: set[str] = set()

    def add(self, record_id: str, line: object) -> str | None:
        if record_id in self._ids:
            return "an earlier line"
        self._ids.add(record_id)
        return None


class Unchecked(Kept):
    def add(self, record_id: str, line: object) -> str | None:
        return None


def on_disk(task: Task) -> Work:
    from opensearch_batch.sources import records

    return _reading(task, records.SeenIds)


def in_memory(task: Task) -> Work:
    return _reading(task, Kept)


def unchecked(task: Task) -> Work:
    return _reading(task, Unchecked)


def _reading(task: Task, seen: type[Any]) -> Work:
    """`refused_at` is the line of a second input where a repetition was refused: it shows that the check is one."""
    from opensearch_batch.sources import records
    from opensearch_batch.sources.json_lines import json_rows
    from opensearch_batch.sources.rows import BadRow
    from opensearch_batch.storage import SourceLine

    def read(path: Path) -> Iterable[records.Record | BadRow]:
        return records.read_records(json_rows(_lines(path)), id_field="id", text_field="text")

    def _lines(path: Path) -> Iterator[SourceLine]:
        with path.open("rb") as source:
            for number, raw in enumerate(source, start=1):
                yield SourceLine(raw, path.name, number)

    def work() -> dict[str, Any]:
        own, records.SeenIds = records.SeenIds, seen  # type: ignore[misc]
        try:
            rows = checksum = refused_at = 0
            for record in read(task.path(INPUT)):
                rows, checksum = rows + 1, zlib.crc32(str(record.id).encode(), checksum)
            bad = [row.place.number for row in read(task.path(REPEATED)) if isinstance(row, BadRow)]
            refused_at = bad[0] if bad else 0
        finally:
            records.SeenIds = own  # type: ignore[misc]
        return {"rows": rows, "checksum": checksum, "refused_at": refused_at}

    return work


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        ours, kept, unchecked = results
        if ours != kept or unchecked != {**ours, "refused_at": 0}:
            raise Unequal(f"{results}")
        if (ours["rows"], ours["refused_at"]) != (task.of(ROWS), 3):
            raise Unequal(f"{ours['rows']} of {task.of(ROWS)} rows, refused at line {ours['refused_at']} instead of 3")
        return {}

    return work
