"""What the run of a million rows takes for right, and how it tells what was spent. The run itself is a benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil  # type: ignore[import-untyped]
import pytest

from benchmarks.measure import Unequal
from benchmarks.million import PARTS, Ran, check, cpu_of, report

if TYPE_CHECKING:
    from stack.run import DagRun
    from stack.stack import Stack

BURN = "import time\nwhile time.process_time() < 0.5: pass\n"
PARENT = (
    f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nprint(flush=True)\nsys.stdin.read()"
)


class Ended:
    """A run whose `report` task told this."""

    def __init__(self, answered: int, records: int, *results: Path) -> None:
        self.told = {"answered": answered, "records": records, "results": [path.as_uri() for path in results]}

    def xcom(self, task_id: str) -> dict[str, Any]:
        return self.told if task_id == "report" else {}


def judge(run: Ended, rows: int, state: str = "success") -> None:
    check(cast("DagRun", run), state, rows)


def landed(path: Path, numbers: range, length: int = 256) -> Path:
    vector = ",".join(["0.5"] * length)
    path.write_text("".join(f'{{"id":"row-{n:07d}","embedding":[{vector}]}}\n' for n in numbers))
    return path


def test_each_row_once_over_all_files_is_right(tmp_path: Path) -> None:
    judge(Ended(5, 5, landed(tmp_path / "a", range(3, 5)), landed(tmp_path / "b", range(3))), 5)


def test_rows_that_are_absent_or_there_twice_end_the_benchmark(tmp_path: Path) -> None:
    overlapping = landed(tmp_path / "a", range(3)), landed(tmp_path / "b", range(2, 4))
    with pytest.raises(Unequal, match="1 of 5 rows are not in the results"):
        judge(Ended(5, 5, *overlapping), 5)


def test_a_vector_of_another_length_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(Unequal, match="has not 256 numbers"):
        judge(Ended(2, 2, landed(tmp_path / "a", range(2), length=255)), 2)


@pytest.mark.parametrize(("state", "answered"), [("failed", 2), ("success", 1)])
def test_a_run_that_did_not_end_well_ends_the_benchmark(state: str, answered: int, tmp_path: Path) -> None:
    with pytest.raises(Unequal, match=f"2 rows: {state}"):
        judge(Ended(answered, 2, landed(tmp_path / "a", range(2))), 2, state)


def test_the_cpu_of_a_part_has_its_ended_children() -> None:
    class Parts:
        parts: dict[str, subprocess.Popen[bytes]]

    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        stack = Parts()
        stack.parts = dict.fromkeys(PARTS, parent)
        spent = cpu_of(cast("Stack", stack))
        assert psutil.Process(parent.pid).children() == []
    assert set(spent) == set(PARTS)
    assert min(spent.values()) >= 0.5


def test_airflows_share_is_what_is_neither_ours_nor_the_sandboxs() -> None:
    parts = dict(zip(PARTS, (1.0, 9.0, 1.0, 2.0, 50.0), strict=True))
    ran = [
        Ran(rows, seconds, 3, {"fetch": cpu, "report": 1.0}, {"fetch": 180_000_000}, parts)
        for rows, seconds, cpu in ((100, 10.0, 3.0), (1000, 40.0, 6.0))
    ]
    lines = report(*ran).splitlines()
    assert "| CPU s inside our tasks | 4.0 | 7.0 | 1.75 × |" in lines
    assert "| CPU s of Airflow beside our tasks, triggerer included | 9.0 | 6.0 | 0.67 × |" in lines
    assert "| peak MB of fetch | 180.0 | 180.0 | 1.00 × |" in lines
