"""Our sides beside the peer's, and that the checks notice a difference. The peer itself needs a venv of its own: its
sides are run by `python -m benchmarks peer_landing peer_submit checked_landing` only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import checked, peer
from benchmarks.child import prepared
from benchmarks.measure import Task, Unequal
from benchmarks.peer_side import LANDED
from benchmarks.server import UPLOADS, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    with serving(tmp_path) as url:
        yield Task(str(tmp_path), url, 0.0004)


def test_answers_that_differ_end_the_benchmark(task: Task) -> None:
    prepared(peer.LANDING.make, task)()
    ours = prepared(peer.LANDING.sides[0].call, task)()
    rows = [json.loads(line) for line in Path(ours["uri"].removeprefix("file://")).read_bytes().splitlines()]
    theirs = {"answered": len(rows), "rest": 0}

    def landed_by_the_peer(rows: list[dict[str, str]]) -> None:
        lines = [json.dumps({"custom_id": row["id"], "output": row["output"]}) for row in rows]
        task.path(LANDED).write_text("\n".join(lines))

    check = prepared(peer.LANDING.check, task, [ours, theirs])
    landed_by_the_peer(rows)
    check()
    landed_by_the_peer(rows[:-1])
    with pytest.raises(Unequal, match="other answers"):
        check()
    assert (len(rows), ours["answered"], ours["rest"]) == (20, 20, 0)


def test_checked_answers_that_differ_end_the_benchmark(task: Task) -> None:
    prepared(checked.BENCHMARK.make, task)()
    ours = [prepared(side.call, task)() for side in checked.BENCHMARK.sides[:2]]
    rows = [json.loads(line) for line in Path(ours[0]["uri"].removeprefix("file://")).read_bytes().splitlines()]
    assert {(each["answered"], each["rest"]) for each in ours} == {(20, 0)}
    assert set(rows[0]["output"]) == {"topic", "confidence", "words", "summary", "parts"}
    check = prepared(checked.BENCHMARK.check, task, [*ours, {"answered": 20, "rest": 0}])
    for theirs in (rows, rows[:-1]):
        lines = [json.dumps({"custom_id": row["id"], "output": row["output"]}) for row in theirs]
        task.path(LANDED).write_text("\n".join(lines))
        if theirs is rows:
            check()
    with pytest.raises(Unequal, match="other answers"):
        check()


def test_requests_that_differ_end_the_benchmark(task: Task) -> None:
    prepared(peer.SUBMIT.make, task)()
    ours = prepared(peer.SUBMIT.sides[0].call, task)()
    check = prepared(peer.SUBMIT.check, task, [ours, {"uploads": ["theirs"]}])
    (sent,) = [task.path(UPLOADS) / name for name in ours["uploads"]]
    theirs = task.path(UPLOADS) / "theirs"
    theirs.write_bytes(sent.read_bytes())
    check()
    theirs.write_bytes(sent.read_bytes().replace(b'"content":"0 ', b'"content":"00 ', 1))
    with pytest.raises(Unequal, match="request 1 differs"):
        check()
