"""One measured process: reads {"call", "task", ...} from standard input, prints what the work cost and returned."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.measure import Task

Work = Callable[[], dict[str, Any]]


def main(given: dict[str, Any]) -> dict[str, Any]:
    """The peak covers imports too: subtract an idle process's. CPU covers the work only."""
    work = prepared(given["call"], Task(**given["task"]), given.get("results"))
    cpu, wall = _cpu_seconds(), time.monotonic()
    result = {} if given.get("idle") else work()
    return {
        "cpu_seconds": _cpu_seconds() - cpu,
        "wall_seconds": time.monotonic() - wall,
        "peak_bytes": _peak_bytes(),
        "result": result,
    }


def prepared(call: str, task: Task, results: list[dict[str, Any]] | None = None) -> Work:
    """`results` are the sides', for a check."""
    module, _, name = call.partition(":")
    function = getattr(import_module(f"benchmarks.{module}"), name)
    work: Work = function(task) if results is None else function(task, results)
    return work


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    """Linux counts in KiB, macOS in bytes (getrusage(2) of each)."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
