"""Rounds: cells that are struck at the same time, each at its own step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.faults.cells import Cell
from tests.faults.field import Field
from tests.faults.steps import Step
from tests.faults.verdict import Verdict

Strike = Callable[[Field, Sequence[Cell]], None]


def kill_task(field: Field, cells: Sequence[Cell]) -> None:
    for cell in cells:
        field.kill(cell)


def kill_worker(field: Field, cells: Sequence[Cell]) -> None:
    """The process above the task; the task's own goes on for as long as it needs nothing of Airflow's."""
    for cell in cells:
        field.kill(cell, supervisor=True)
        field.halts[cell].release()


def kill_part(name: str) -> Strike:
    def strike(field: Field, cells: Sequence[Cell]) -> None:
        field.stack.kill_part(name)
        for cell in cells:
            field.halts[cell].release()
        field.stack.start_part(name)

    return strike


def lose_database(field: Field, cells: Sequence[Cell]) -> None:
    """For a minute by the clock: that long is the fault. Some of Airflow's parts end only afterwards."""
    field.stack.kill_database()
    for cell in cells:
        field.halts[cell].release()
    time.sleep(60)
    field.stack.start_database()
    field.starts_ended = True


def clear(field: Field, cells: Sequence[Cell]) -> None:
    for cell in cells:
        field.clear_halted(cell)


PARTS: dict[str, Strike] = {
    "triggerer killed": kill_part("triggerer"),
    "scheduler killed": kill_part("scheduler"),
    "API server killed": kill_part("api-server"),
    "sandbox killed": kill_part("sandbox"),
    "database gone for a minute": lose_database,
}
STRIKES: dict[str, Strike] = {
    "task killed": kill_task,
    "worker killed": kill_worker,
    "clear": clear,
    **PARTS,
}
NOT_STRUCK = "the run did not come to the step"

OTHERS = "task killed"
"""The fault that strikes each step of each vendor."""
WITHOUT_PROCESS = ("while deferred",)


def strikes_at(fault: str, step: Step) -> bool:
    """A wait has no task and no worker."""
    return not (fault in ("task killed", "worker killed") and step.name in WITHOUT_PROCESS)


def play(
    field: Field, cells: Sequence[Cell], say: Callable[[str], None], *, refuses: bool = True
) -> dict[Cell, Verdict]:
    """Strike all cells, those of one fault at once, a part of Airflow after the tasks; a cell whose run did not come to
    its step is red. `refuses` is what the field was calmed with: jobs that a clear makes have the same first rows.
    """
    for cell in cells:
        field.start(cell)
    reached = field.reach(cells)
    say(f"{len(reached)} of {len(cells)} runs are at their steps")
    struck_at = time.monotonic()
    for fault, strike in STRIKES.items():
        if struck := [cell for cell in reached if cell.fault == fault]:
            strike(field, struck)
            say(f"{fault}: {len(struck)} runs")
    for cell in set(cells) - set(reached):  # a run that comes to its step later would stand there for good
        field.halts[cell].release()
    field.end(cells)
    field.calm(refuses=refuses)  # the witness asks the sandbox too
    verdicts = field.judge(cells, struck_at)
    field.starts_ended = False
    for cell in set(cells) - set(reached):
        verdicts[cell] = Verdict((NOT_STRUCK, *verdicts[cell].problems), verdicts[cell].jobs)
    return verdicts
