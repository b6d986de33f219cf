"""The record of reuse at 10,000,000 entries (scale 1), in as many files as there may be before they become one: look up
1,000,000 hashes, of which every second is known; and make the many files one. Beside a Python dict that is loaded from
disk, by marshal, the fastest loader that the standard library has.
"""

from __future__ import annotations

import marshal
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import Benchmark, Side, Task, Unequal

ENTRIES, ASKED, FILES = 10_000_000, 1_000_000, 33
RECORD, DICT, NEW, HASHES = "record", "record.marshal", "new.marshal", "asked.hashes"
MERGED, MERGED_DICT = "merged", "merged.marshal"
PLACE = struct.Struct("<iqii")
"""File, offset, length and day."""
HASH_BYTES, LENGTH, DAY = 16, 33_000, 20_000

LOOK_UP = Benchmark(
    name="reuse_look_up",
    title="look up 1,000,000 hashes in a record of ten times as many (`record.find`)",
    sides=(
        Side("ours", "reuse:look_up"),
        Side("a Python dict, its load from disk counted", "reuse:look_up_in_dict"),
    ),
    make="reuse:make",
    check="reuse:check",
)

MERGE = Benchmark(
    name="reuse_merge",
    title="make one file of the 33 of a record of 10,000,000 (`compaction.compact`)",
    sides=(
        Side("ours", "reuse:merge"),
        Side("a Python dict, loaded, brought up to date and written", "reuse:merge_dict"),
    ),
    make="reuse:make",
    check="reuse:check",
)


def make(task: Task) -> Work:
    """The last file has a tenth of the first one's hashes again, a day later."""
    from opensearch_batch.reuse.entries import Entries
    from opensearch_batch.reuse.record import add

    def work() -> dict[str, Any]:
        chance, a_file = random.Random(1), task.of(ENTRIES) // FILES
        known: dict[bytes, bytes] = {}
        new: dict[bytes, bytes] = {}
        for number in range(FILES):
            is_last = number == FILES - 1
            some = [chance.randbytes(HASH_BYTES) for _ in range(a_file)]
            if is_last:
                some[: a_file // 10] = list(known)[: a_file // 10]
            entries, day = Entries(f"file:///results-{number}.jsonl"), DAY + is_last
            for at, text_hash in enumerate(some):
                entries.add(text_hash, at * LENGTH, LENGTH, day)
                (new if is_last else known)[text_hash] = PLACE.pack(number, at * LENGTH, LENGTH, day)
            add(task.path(RECORD).as_uri(), f"results-{number:02d}", entries.table(), DAY * 86_400 + number)
        hits = chance.sample(sorted({**known, **new}), task.of(ASKED) // 2)
        asked = sorted([*hits, *(chance.randbytes(HASH_BYTES) for _ in hits)])
        task.path(HASHES).write_bytes(b"".join(asked))
        task.path(DICT).write_bytes(marshal.dumps(known))
        task.path(NEW).write_bytes(marshal.dumps(new))
        size = sum(path.stat().st_size for path in task.path(RECORD).iterdir())
        return {"rows": len(asked), "bytes": size}

    return work


def look_up(task: Task) -> Work:
    import pyarrow.compute

    from opensearch_batch.reuse.record import ASKED_AT_ONCE, find

    find(task.path("nothing").as_uri(), b"")  # imports what it imports at first use

    def work() -> dict[str, Any]:
        found = offsets = days = 0
        with task.path(HASHES).open("rb") as asked:
            while some := asked.read(ASKED_AT_ONCE * HASH_BYTES):
                newest, _ = find(task.path(RECORD).as_uri(), some)
                found += len(newest)
                offsets += pyarrow.compute.sum(newest["offset"]).as_py() or 0
                days += pyarrow.compute.sum(newest["day"]).as_py() or 0
        return {"found": found, "offsets": offsets, "days": days}

    return work


def look_up_in_dict(task: Task) -> Work:
    def work() -> dict[str, Any]:
        known = marshal.loads(task.path(DICT).read_bytes())
        known |= marshal.loads(task.path(NEW).read_bytes())
        found = offsets = days = 0
        for text_hash in _hashes(task.path(HASHES)):
            if place := known.get(text_hash):
                _, offset, _, day = PLACE.unpack(place)
                found, offsets, days = found + 1, offsets + offset, days + day
        return {"found": found, "offsets": offsets, "days": days}

    return work


def _hashes(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    return (content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES))


def merge(task: Task) -> Work:
    """The copy of the record and the count of what came of it are no work."""
    from opensearch_batch.reuse.compaction import compact
    from opensearch_batch.reuse.record import find

    find(task.path("nothing").as_uri(), b"")  # imports what it imports at first use
    folder = task.path(MERGED)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(task.path(RECORD), folder)

    def work() -> dict[str, Any]:
        return {"files": compact(folder.as_uri(), "all")}

    return work


def merge_dict(task: Task) -> Work:
    def work() -> dict[str, Any]:
        known = marshal.loads(task.path(DICT).read_bytes())
        known |= marshal.loads(task.path(NEW).read_bytes())
        task.path(MERGED_DICT).write_bytes(marshal.dumps(known))
        return {"files": FILES}

    return work


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    """Of a merge the files are compared too."""

    def work() -> dict[str, Any]:
        if results[0] != results[1]:
            raise Unequal(f"{results}")
        if "files" in results[0] and (ours := _of_record(task)) != (others := _of_dict(task)):
            raise Unequal(f"the merged record has {ours}, the dict {others}")
        if results[0].get("found", 1) == 0:
            raise Unequal("nothing was found")
        return {}

    return work


def _of_record(task: Task) -> tuple[int, int, int]:
    """Number of entries, sum of offsets and of days."""
    import pyarrow.compute
    import pyarrow.parquet

    [path] = task.path(MERGED).iterdir()
    table = pyarrow.parquet.read_table(path, columns=["offset", "day"])
    return len(table), *(pyarrow.compute.sum(table[name]).as_py() for name in ("offset", "day"))


def _of_dict(task: Task) -> tuple[int, int, int]:
    merged = marshal.loads(task.path(MERGED_DICT).read_bytes())
    places = [PLACE.unpack(place) for place in merged.values()]
    return len(places), sum(place[1] for place in places), sum(place[3] for place in places)
