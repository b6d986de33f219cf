"""`python -m benchmarks.million`: 1,000,000 rows of 256 numbers from input to results through real Airflow processes
and the sandbox, after 100,000 rows in the same stack. Into RESULTS.md; not part of `make bench`, because it takes long.

Linux only: the peak of a process is read as Linux counts it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from benchmarks import results
from benchmarks.measure import Unequal
from stack.airflow import CHECKOUT
from stack.run import DagRun
from stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS, FEWER = 1_000_000, 100_000
TITLE = "A million rows, end to end"
DAG_ID = "million"
SPEC = """name: million
model: {name: text-embedding-3-small, parameters: {dimensions: 256}}
input: {uri: "${BATCH_DATA_URI}/million/rows.jsonl"}
output: {uri: "${BATCH_DATA_URI}/million/{run_id}"}
wait: {poll_seconds: 2}
"""
DAG = """from pathlib import Path

from airflow.sdk import Param, dag
from opensearch_batch.pipeline import batch_inference


@dag(schedule=None, params={"rows": Param(1, type="integer")})
def million() -> None:
    batch_inference(str(Path(__file__).with_name("spec.yaml")), overrides={"input.max_records": "{{ params.rows }}"})


million()
"""
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer", "sandbox")


@dataclass(frozen=True)
class Ran:
    """`tasks`: CPU seconds inside the tasks by task_id; `peaks`: the largest process of each task_id, bytes; `parts`:
    CPU seconds of each part of the stack with what it started, the tasks' processes with the scheduler.
    """

    rows: int
    seconds: float
    processes: int
    tasks: dict[str, float]
    peaks: dict[str, int]
    parts: dict[str, float]

    @property
    def ours(self) -> float:
        return sum(self.tasks.values())

    @property
    def airflow(self) -> float:
        return sum(self.parts[name] for name in PARTS if name != "sandbox") - self.ours


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--fewer", type=int, default=FEWER)
    parser.add_argument("--minutes", type=float, default=60, help="give up on a run after so long (%(default)s)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        ran = measured(folder, [given.fewer, given.rows], given.minutes * 60)
    text = report(*ran)
    results.keep(given.results, TITLE, text)
    print(text)


def measured(folder: Path, sizes: list[int], seconds: float) -> list[Ran]:
    """One run after the other in one stack; raise StackError where one does not end within `seconds`."""
    dags, plugins, costs = folder / "dags", folder / "plugins", folder / "costs.jsonl"
    dags.mkdir()
    (dags / "million.py").write_text(DAG)
    (dags / "spec.yaml").write_text(SPEC)
    shutil.copytree(CHECKOUT / "plugins", plugins)
    shutil.copy(Path(__file__).with_name("task_cost.py"), plugins)
    settings = {"BENCHMARK_TASK_COSTS": str(costs)}
    with Stack(folder / "home", dags=dags, plugins=plugins, settings=settings) as stack:
        source = stack.home.data / "million" / "rows.jsonl"
        source.parent.mkdir(parents=True)
        with source.open("w") as out:
            out.writelines(
                f'{{"id": "row-{n:07d}", "text": "text number {n} of a million"}}\n' for n in range(max(sizes))
            )
        first = one(stack, 10, seconds, costs)  # connector and model are made, modules compiled
        say(f"{first.rows} rows to warm up: {first.seconds:.0f} s")
        found = []
        for rows in sizes:
            found.append(one(stack, rows, seconds, costs))
            say(f"{rows:,} rows in {found[-1].seconds:.0f} s, each answered once")
        return found


def one(stack: Stack, rows: int, seconds: float, costs: Path) -> Ran:
    known = costs.stat().st_size if costs.exists() else 0
    before, began = cpu_of(stack), time.monotonic()
    run = DagRun.trigger(stack, DAG_ID, {"rows": rows})
    state = run.wait(seconds)
    took = time.monotonic() - began
    after = cpu_of(stack)
    check(run, state, rows)
    with costs.open(encoding="utf-8") as lines:
        lines.seek(known)
        spent = [json.loads(line) for line in lines]
    tasks: dict[str, float] = defaultdict(float)
    peaks: dict[str, int] = defaultdict(int)
    for line in spent:
        tasks[line["task_id"]] += line["cpu_seconds"]
        peaks[line["task_id"]] = max(peaks[line["task_id"]], line["peak_bytes"])
    parts = {name: after[name] - before[name] for name in PARTS}
    return Ran(rows, took, len(spent), dict(tasks), dict(peaks), parts)


def cpu_of(stack: Stack) -> dict[str, float]:
    """User and system seconds of each part: its living processes, and of theirs those that have ended."""
    return {name: sum(map(_cpu_seconds, _family(psutil.Process(stack.parts[name].pid)))) for name in PARTS}


def _family(process: psutil.Process) -> Iterable[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # its parent has its time by now, or will soon
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def check(run: DagRun, state: str, rows: int) -> None:
    """Raise Unequal unless each row stands once in the files that the manifest names, with 256 numbers."""
    report = run.xcom("report")
    if state != "success" or (report["answered"], report["records"]) != (rows, rows):
        raise Unequal(f"{rows} rows: {state}, {report}")
    seen = bytearray(rows)
    for uri in report["results"]:
        with Path(uri.removeprefix("file://")).open("rb") as lines:
            for line in lines:
                seen[int(line[len('{"id":"row-') :][:7])] += 1
                if line.count(b",") != 256:
                    raise Unequal(f"{uri}: {line[:40]!r} has not 256 numbers")
    if seen.count(1) != rows:
        raise Unequal(f"{seen.count(0)} of {rows} rows are not in the results, others are there twice")


def report(fewer: Ran, more: Ran) -> str:
    lines = [
        f"Written by `{' '.join(['python -m benchmarks.million', *sys.argv[1:]])}`.",
        f"Machine: {results.machine()}. One text a request; all files on one disk.",
        "",
        f"| | {fewer.rows:,} rows | {more.rows:,} rows | ratio |",
        "|---|--:|--:|--:|",
        _line("seconds, start to end", fewer.seconds, more.seconds),
        _line("CPU s inside our tasks", fewer.ours, more.ours),
    ]
    for task_id in more.tasks:
        lines.append(_line(f"- {task_id}", fewer.tasks.get(task_id, 0.0), more.tasks[task_id]))
    lines += [
        _line("CPU s of the triggerer", fewer.parts["triggerer"], more.parts["triggerer"]),
        _line("CPU s of Airflow beside our tasks, triggerer included", fewer.airflow, more.airflow),
        _line("CPU s of the sandbox", fewer.parts["sandbox"], more.parts["sandbox"]),
        _line("task processes", fewer.processes, more.processes),
    ]
    for task_id in more.peaks:
        lines.append(_line(f"peak MB of {task_id}", fewer.peaks[task_id] / 1e6, more.peaks[task_id] / 1e6))
    lines += [
        "",
        "Each row was found once in the results, with 256 numbers. CPU inside a task is its process's from right",
        "before the task to after its last XCom; starting the process is Airflow's, PostgreSQL is in none. Peaks are",
        "those of whole processes, Airflow's imports included, the largest one of each task.",
    ]
    return "\n".join(lines)


def _line(name: str, fewer: float, more: float) -> str:
    ratio = f"{more / fewer:.2f} ×" if fewer > 0.05 else "–"
    return f"| {name} | {fewer:,.1f} | {more:,.1f} | {ratio} |"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
