"""Faults outside Airflow: what servers answer, forget or show late, and rows that change. Each has a cell of its own.

The cells of a round run side by side; only their submissions come one after the other, as a fault is ordered for the
next call, whoever makes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from tests.faults.cells import Cell
from tests.faults.field import Field
from tests.faults.steps import HANDED_ON, Step, steps_of
from tests.faults.verdict import Verdict
from tests.patience import eventually

TEN_MINUTES = 40.0
"""In the matrix's time: a settle time of 930 s is 62 s here."""
AN_HOUR = 3600.0
SUBMIT, CREATE = r"_batch_predict", r"^/v1/batches$"
BEFORE, ANSWERED, UPLOADED = "before the submission is noted", "after its answer", "after the upload"


@dataclass(frozen=True)
class Scenario:
    """`order` is a fault for the submission of a run halted at `step`; without an order the task is killed there. At
    `kill_at` the task is killed later on. `lag_seconds` of the provider's list hold for its round. `afterwards` happens
    when the run has ended. `guards` keep it from harm: each of them removed, the cell has to be red.
    """

    fault: str
    guards: tuple[str, ...]
    step: str = ""
    order: dict[str, Any] | None = None
    lag_seconds: float = 0.0
    kill_at: Step | None = None
    afterwards: Callable[[Field, Cell], None] | None = None
    planned: Callable[[Cell], dict[str, str]] = lambda cell: cell.planned

    def cells(self) -> list[Cell]:
        """With all guards, and without each of its own."""
        step = next((step for step in steps_of("openai") if step.name == self.step), None)
        return [Cell(self.fault, step, removed=removed) for removed in ((), *((guard,) for guard in self.guards))]


def changed(cell: Cell) -> dict[str, str]:
    return {row_id: f"{text}, edited" for row_id, text in cell.planned.items()}


def edit_and_clear(field: Field, cell: Cell) -> None:
    field.write_rows(cell, changed(cell))
    field.clear(cell, ["prepare_input"])


def clear_submit(field: Field, cell: Cell) -> None:
    field.clear(cell, ["shard.submit_batch"])


def forget_task_and_clear(field: Field, cell: Cell) -> None:
    """As a cluster whose task index was cleaned up."""
    (job,) = field.runs[cell].xcom("shard.submit_batch", map_index=0)
    with httpx.Client(base_url=field.stack.sandbox_url, trust_env=False) as cluster:
        cluster.delete(f"/_plugins/_ml/tasks/{job['task_id']}").raise_for_status()
    clear_submit(field, cell)


def lost(path: str) -> dict[str, Any]:
    return {"fault": "lost_answer", "method": "POST", "path": path}


SCENARIOS = (
    Scenario("provider's answer lost", ("list", "settle"), BEFORE, lost(CREATE), TEN_MINUTES),
    Scenario("cluster's answer lost", (), BEFORE, lost(SUBMIT), TEN_MINUTES),
    Scenario(
        "job accepted late",
        ("settle",),
        BEFORE,
        {"fault": "late_accept", "method": "POST", "path": CREATE, "seconds": 20},
        TEN_MINUTES,
    ),
    Scenario("task killed, list an hour behind", ("tasks",), ANSWERED, None, AN_HOUR),
    Scenario(
        "cluster forgot, list an hour behind, clear", ("note",), lag_seconds=AN_HOUR, afterwards=forget_task_and_clear
    ),
    Scenario("task killed with an upload", ("uploads",), UPLOADED),
    Scenario(
        "job failed whole, repaired, clear",
        ("hand-over",),
        BEFORE,
        {"fault": "fail_batch", "code": "server_error", "message": "The server had an error."},
        afterwards=clear_submit,
    ),
    Scenario("rows handed on, task killed", (), BEFORE, {"fault": "lose_row"}, TEN_MINUTES, HANDED_ON),
    Scenario("rows edited, clear", ("hash",), afterwards=edit_and_clear, planned=changed),
)


def play_round(
    field: Field, scenarios: Sequence[Scenario], lag_seconds: float, say: Callable[[str], None]
) -> dict[Cell, Verdict]:
    """All cells of the scenarios of one lag, side by side."""
    of = {cell: scenario for scenario in scenarios for cell in scenario.cells()}
    field.calm()
    if lag_seconds:
        field.box.order("list_lag", times=-1, seconds=lag_seconds)
    for cell in of:
        field.start(cell)
    halting = [cell for cell in of if cell.step]
    reached = field.reach(halting)
    say(f"{len(reached)} of {len(halting)} runs are at their steps")
    struck_at = time.monotonic()
    for cell in reached:
        if (order := of[cell].order) is None:
            field.kill(cell)
            continue
        field.box.order(**order)
        first = field.halts[cell]
        if step := of[cell].kill_at:
            field.halt(cell, step)
        first.release()
        eventually("it happens", partial(field.has_happened, order["fault"]), field.runs[cell].progress)
    later = [cell for cell in reached if of[cell].kill_at]
    for cell in field.reach(later):
        field.kill(cell)
    then = [cell for cell, scenario in of.items() if scenario.afterwards]
    ended = field.end(then)
    for cell in then:
        if ended[cell] == "success" and (afterwards := of[cell].afterwards):
            afterwards(field, cell)
    verdicts = field.judge([*of], struck_at, lambda cell: of[cell].planned(cell))
    field.calm()
    return verdicts


def rounds_of(scenarios: Sequence[Scenario]) -> list[tuple[float, list[Scenario]]]:
    lags = sorted({scenario.lag_seconds for scenario in scenarios})
    return [(lag, [scenario for scenario in scenarios if scenario.lag_seconds == lag]) for lag in lags]
