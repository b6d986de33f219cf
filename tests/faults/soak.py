"""`python -m tests.faults.soak --seed N --batches N [--jobs-a-run N] [--runs-a-wave N] [--poll-seconds N]
[--tasks-at-once N] [--waves-done N]`: so many jobs at all vendors, in runs with faults drawn from the seed, while each
tenth call to cluster and vendor fails. Exit code 1 for a row lost or paid for twice, anything left behind, memory that
grows. A run that never came to the step where its fault waits, as a wait whose job had ended at the first look, is
judged all the same, and counted as not struck.
"""

from __future__ import annotations

import argparse
import sys
import time

import psutil  # type: ignore[import-untyped]

from stack.stack import Stack
from tests.faults.field import field
from tests.faults.rounds import NOT_STRUCK, play
from tests.faults.soak_plan import is_flat, waves_of

EVERY = 10
"""Each so many a call gets a 503."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.soak", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batches", type=int, required=True, help="jobs, of all runs together")
    parser.add_argument("--jobs-a-run", type=int, default=8, help="on the average")
    parser.add_argument("--runs-a-wave", type=int, default=10, help="under way at once")
    parser.add_argument("--poll-seconds", type=float, default=1, help="between a wait's looks at its job")
    parser.add_argument("--tasks-at-once", type=int, default=32, help="most of them wait: for answers that were lost")
    parser.add_argument("--waves-done", type=int, default=0, help="of the same plan, when it was broken off")
    given = parser.parse_args()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    red, jobs, runs, unstruck, memory = 0, 0, 0, 0, dict[str, list[float]]()
    with field(given.poll_seconds, given.tasks_at_once) as found:
        say(f"stack on {found.stack.url}")
        waves = waves_of(given.seed, given.batches, given.jobs_a_run, given.runs_a_wave)
        for cells in waves[given.waves_done :]:
            found.calm(refuses=False)
            found.box.order("answer", status=503, times=-1, every=EVERY)
            verdicts = play(found, cells, say, refuses=False)
            for cell, verdict in verdicts.items():
                problems = [problem for problem in verdict.problems if problem != NOT_STRUCK]
                red, jobs, runs = red + bool(problems), jobs + verdict.jobs, runs + 1
                unstruck += NOT_STRUCK in verdict.problems
                if problems:
                    say(f"RED {cell.run_id}: {'; '.join(problems)}")
            for part, size in resident(found.stack).items():
                memory.setdefault(part, []).append(size)
            say(f"{runs} runs, {jobs} jobs, {red} red, {unstruck} not struck; " + ", ".join(_told(memory)))
    growing = [part for part, sampled in memory.items() if not is_flat(sampled)]
    flat = f"memory grows: {', '.join(growing)}" if growing else "memory is flat"
    counted = f"{jobs} jobs of {given.batches} planned, {red} runs red, {unstruck} not struck"
    say(f"seed {given.seed}: {runs} runs, {counted}; {flat}")
    return 1 if red or growing else 0


def resident(stack: Stack) -> dict[str, float]:
    """Bytes: the triggerer with its processes, and a worker, the largest. Memory that forked processes share is counted
    in parts (PSS): the triggerer's number of processes changes.
    """
    triggerer, scheduler = (psutil.Process(stack.parts[name].pid) for name in ("triggerer", "scheduler"))
    whole = [process.memory_full_info().pss for process in (triggerer, *triggerer.children(recursive=True))]
    workers = [
        worker.memory_full_info().pss
        for worker in scheduler.children()
        if "LocalExecutor" in " ".join(worker.cmdline())
    ]
    return {"triggerer": sum(whole), "worker": max(workers, default=0)}


def _told(memory: dict[str, list[float]]) -> list[str]:
    return [f"{part} {sampled[-1] / (1 << 20):.0f} MB" for part, sampled in memory.items()]


if __name__ == "__main__":
    sys.exit(main())
