"""Measure the sides of a benchmark, each in a process of its own; check that their results are equal, take medians.

Only the standard library is imported here: a child's peak memory begins at the size of the process that starts it
(Linux keeps the maximum over exec), so the measuring process has to stay smaller than every child.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Side:
    """One way to do the work. `call` is "module:function" in this package: it imports and connects, and returns the
    work as a function that takes nothing and returns JSON.
    """

    name: str
    call: str
    python: Callable[[], str] = lambda: sys.executable
    """The interpreter; asked before the work begins."""


@dataclass(frozen=True)
class Benchmark:
    """`make` writes the inputs and returns {"rows", "bytes"}; `check` raises Unequal where results differ. The first
    side is ours, the others are references.
    """

    name: str
    title: str
    sides: tuple[Side, ...]
    make: str
    check: str


@dataclass(frozen=True)
class Task:
    """What every function of a benchmark is given: a folder for inputs and results, a file server, a size."""

    folder: str
    url: str
    scale: float

    def of(self, full: int) -> int:
        """`full` is the size at scale 1."""
        return max(1, round(full * self.scale))

    def path(self, name: str) -> Path:
        return Path(self.folder, name)


class Unequal(Exception):
    """The sides did not do the same work, so their costs mean nothing."""


@dataclass(frozen=True)
class Cost:
    """CPU is user and system time of the work alone; the peak is above a process that imports the same and idles."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Measured:
    """Medians over the rounds, in the order of the benchmark's sides."""

    benchmark: Benchmark
    rows: int
    bytes: int
    costs: tuple[Cost, ...]


Say = Callable[[str], object]


def measure(benchmark: Benchmark, task: Task, rounds: int, say: Say) -> Measured:
    """Sides take turns, so that a busy minute of the machine hits all of them, and begin in turn: a server is slower
    for its first. Raise Unequal after the first round whose results differ.
    """
    made = run(benchmark.make, task)
    idle = [run(side.call, task, side.python(), idle=True)["peak_bytes"] for side in benchmark.sides]
    rounds_of: list[list[Cost]] = [[] for _ in benchmark.sides]
    for number in range(1, rounds + 1):
        results: dict[int, Any] = {}
        for at in range(len(benchmark.sides))[:: 1 if number % 2 else -1]:
            ran = run(benchmark.sides[at].call, task, benchmark.sides[at].python())
            results[at] = ran["result"]
            rounds_of[at].append(Cost(ran["cpu_seconds"], ran["wall_seconds"], ran["peak_bytes"] - idle[at]))
        run(benchmark.check, task, results=[results[at] for at in sorted(results)])
        say(f"{benchmark.name}: round {number} of {rounds}, results equal")
    medians = tuple(
        Cost(
            statistics.median(cost.cpu_seconds for cost in costs),
            statistics.median(cost.wall_seconds for cost in costs),
            int(statistics.median(cost.peak_bytes for cost in costs)),
        )
        for costs in rounds_of
    )
    return Measured(benchmark, made["result"]["rows"], made["result"]["bytes"], medians)


def run(call: str, task: Task, python: str = sys.executable, **more: Any) -> dict[str, Any]:
    """Run one function in a new interpreter; raise Unequal or RuntimeError with what it said last."""
    given = json.dumps({"call": call, "task": vars(task), **more})
    done = subprocess.run(
        [python, "-m", "benchmarks.child"],
        input=given, capture_output=True, text=True, env=environment(task.folder), cwd=ROOT, check=False,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no error text"]
        if last[0].startswith(f"{__name__}.{Unequal.__name__}"):
            raise Unequal(last[0].partition(": ")[2])
        raise RuntimeError(f"{call} ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def environment(folder: str) -> dict[str, str]:
    """Airflow reads its home and logging level at import; loopback needs no proxy."""
    return os.environ | {
        "AIRFLOW_HOME": f"{folder}/airflow",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
    }
