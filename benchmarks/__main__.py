"""`python -m benchmarks`: measure, check, print the table and keep it in benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import checked, landing, parsing, peer, preparing, results, reuse, unique_ids
from benchmarks.measure import Benchmark, Measured, Task, measure
from benchmarks.server import serving

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        landing.BENCHMARK,
        landing.PARQUET,
        preparing.BENCHMARK,
        unique_ids.BENCHMARK,
        reuse.LOOK_UP,
        reuse.MERGE,
        parsing.BENCHMARK,
        peer.LANDING,
        peer.SUBMIT,
        checked.BENCHMARK,
    )
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"default: {' '.join(BENCHMARKS)}")
    parser.add_argument("--scale", type=float, default=0.1, help="1 is the full size: 1 GB, 10 minutes (default: 0.1)")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over so many (default: 5)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    if chosen.scale <= 0 or chosen.rounds < 1:
        parser.error("--scale is above 0, --rounds at least 1")
    measured = []
    for one in run([BENCHMARKS[name] for name in chosen.names or BENCHMARKS], chosen.scale, chosen.rounds):
        measured.append(one)
        command = f"python -m benchmarks {one.benchmark.name} --scale {chosen.scale:g} --rounds {chosen.rounds}"
        page = results.page([one], scale=chosen.scale, rounds=chosen.rounds, command=command)
        results.keep(chosen.results, title(one.benchmark, chosen.scale), page)
    print(results.table(measured))


def title(benchmark: Benchmark, scale: float) -> str:
    """A section of its own for each size: a quick run leaves the full size's figures."""
    return f"Beside others: {benchmark.name}" + ("" if scale == 1 else f", scale {scale:g}")


def run(benchmarks: list[Benchmark], scale: float, rounds: int) -> Iterator[Measured]:
    """Inputs and results go to a temporary folder (TMPDIR): 4.5 GB at scale 1. Progress goes to standard error."""
    for benchmark in benchmarks:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, serving(Path(folder)) as url:
            task = Task(folder, url, scale)
            yield measure(benchmark, task, rounds, lambda said: print(said, file=sys.stderr))


if __name__ == "__main__":
    main()
