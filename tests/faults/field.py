"""The stack that the cells share, and what is done with their runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import tenacity

from stack.airflow import CHECKOUT, LOADED_ONCE, UNCHANGED_FILES
from stack.patience import Patience
from stack.run import ENDED, DagRun, wait_for_dag
from stack.stack import ApiError, Stack
from stack.vendors import VENDORS, set_up
from tests.e2e.test_runs import Box
from tests.faults.cells import Cell
from tests.faults.control import Control, Halt
from tests.faults.steps import GUARDS, Step, steps_of
from tests.faults.verdict import Verdict, problems_of
from tests.faults.witness import Witness

log = logging.getLogger(__name__)

T = TypeVar("T")
SERVER_ERROR = 500
PACE = "clock:40"
"""Long enough for each wait to be deferred, on a busy machine too."""
IDLE_SECONDS = 300.0
"""A submission of twenty jobs takes minutes, while each tenth call fails, and no task changes its state meanwhile."""
ENDS_ASKED_SECONDS = 20.0
"""Between two questions whether runs have ended that did not come to their steps."""
NIGHT = {
    # A task whose worker is gone is taken for lost after so many seconds, instead of 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # As in one's own Airflow: with a second, the laptop's, of the calls to the API server of a soak two thirds are
    # heartbeats.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
}


class Field:
    """Cells are started, halted at their steps, struck, and judged when their runs have ended."""

    def __init__(self, stack: Stack, control: Control) -> None:
        self.stack, self.control, self.box = stack, control, Box(stack.sandbox_url)
        self.runs: dict[Cell, DagRun] = {}
        self.halts: dict[Cell, Halt] = {}
        self.ended_at: dict[Cell, float] = {}
        self.starts_ended = False
        """Airflow's parts that end are started again, as a service manager would: for a fault that ends them late."""

    def calm(self, *, refuses: bool = True) -> None:
        """No trouble but that the first row of each job is refused, if `refuses`: each job has both files then."""
        self.box.calm()
        self.box.pace(PACE)
        if refuses:
            self.box.order("fail_rows", times=-1, count=1, code="context_length_exceeded", message="Too long.")

    def has_happened(self, fault: str) -> bool:
        return all(each["fault"] != fault for each in self.box.faults())

    def start(self, cell: Cell) -> None:
        folder = self._folder(cell)
        folder.mkdir(parents=True)
        self.write_rows(cell, cell.planned)
        self.control.remove(cell.removed, cell.run_id)
        if cell.step:
            self.halt(cell, cell.step)
        dag_id = f"cells_{cell.vendor}"
        wait_for_dag(self.stack, dag_id)
        self.stack.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        self.stack.api("POST", f"/dags/{dag_id}/dagRuns", {"dag_run_id": cell.run_id, "logical_date": None, "conf": {}})
        self.runs[cell] = DagRun(self.stack, dag_id, cell.run_id)

    def halt(self, cell: Cell, step: Step) -> None:
        """From now on the cell's halt is this one."""
        self.halts[cell] = self.control.halt(step, cell.run_id)

    def write_rows(self, cell: Cell, rows: dict[str, str]) -> None:
        lines = [json.dumps({"id": row_id, "text": text}) for row_id, text in rows.items()]
        (self._folder(cell) / "rows.jsonl").write_text("\n".join(lines) + "\n")

    def reach(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells that have come to their steps, when all have, or the others have ended or move no more."""
        waiting = list(cells)
        reached: list[Cell] = []
        asked_at = time.monotonic()

        def look() -> bool:
            """Files alone, but now and then: the API server has enough to do."""
            nonlocal asked_at
            for cell in [cell for cell in waiting if self.halts[cell].reached]:
                waiting.remove(cell)
                reached.append(cell)
            if waiting and time.monotonic() - asked_at > ENDS_ASKED_SECONDS:
                states, asked_at = self._run_states(waiting), time.monotonic()
                waiting[:] = [cell for cell in waiting if states[cell] not in ENDED]
            return not waiting

        any(Patience(IDLE_SECONDS, lambda: self._states(waiting)).looks(look))
        return reached

    def kill(self, cell: Cell, *, supervisor: bool = False) -> None:
        """SIGKILL the task's own process, or the worker above it. On a busy machine a task that waited long may be
        killed already, as one without heartbeats.
        """
        halted = self.halts[cell].reached
        assert halted is not None
        with suppress(ProcessLookupError):
            os.kill(halted["ppid" if supervisor else "pid"], signal.SIGKILL)

    def clear(self, cell: Cell, task_ids: Sequence[Any], *, only_failed: bool = False, downstream: bool = True) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": cell.run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        } | ({"task_ids": list(task_ids)} if task_ids else {})
        self.stack.api("POST", f"/dags/cells_{cell.vendor}/clearTaskInstances", body)

    def clear_halted(self, cell: Cell) -> None:
        halted = self.halts[cell].reached
        assert halted is not None
        index, task_id = int(halted["map_index"] or -1), halted["task_id"]
        self.clear(cell, [[task_id, index] if index >= 0 else task_id], downstream=False)

    def end(self, cells: Collection[Cell]) -> dict[Cell, str]:
        """The state of each run, when it has ended, or nothing of all moves any more."""
        states: dict[Cell, str] = {}

        def look() -> bool:
            if self.starts_ended:
                self.stack.start_ended()
            for cell, state in self._run_states(cell for cell in cells if states.get(cell) not in ENDED).items():
                states[cell], self.ended_at[cell] = state, time.monotonic()
            return set(states.values()) <= ENDED

        def progress() -> object:
            return self._states([cell for cell in cells if states.get(cell) not in ENDED])

        any(Patience(IDLE_SECONDS, progress).looks(look, 1.0))
        return states

    def judge(
        self, cells: Collection[Cell], struck_at: float, planned: Callable[[Cell], dict[str, str]] | None = None
    ) -> dict[Cell, Verdict]:
        """Wait for the runs' ends; clear what failed once, as a person would; tell what was left behind."""
        states = self.end(cells)
        failed = [cell for cell, state in states.items() if state == "failed"]
        for cell in failed:
            self.clear(cell, [], only_failed=True)
        states |= self.end(failed)
        minutes = {cell: (self.ended_at[cell] - struck_at) / 60 for cell in cells}
        witness = Witness(self.stack.sandbox_url)
        verdicts = {}
        for cell in cells:
            wanted = planned(cell) if planned else cell.planned
            found = witness.evidence(states[cell], wanted, self._folder(cell))
            tokens = witness.tokens(self._folder(cell))
            verdicts[cell] = Verdict(tuple(problems_of(found)), len(found.jobs), tokens, minutes[cell], cell in failed)
        return verdicts

    def _run_states(self, cells: Iterable[Cell]) -> dict[Cell, str]:
        """One call a DAG, while no DAG has more than 100 runs under way."""
        wanted = list(cells)
        found: dict[tuple[str, str], str] = {}
        for vendor in {cell.vendor for cell in wanted}:
            query = {"limit": 100, "order_by": "-run_after"}
            runs = self._told(f"/dags/cells_{vendor}/dagRuns", query)["dag_runs"]
            found |= {(vendor, run["dag_run_id"]): run["state"] for run in runs}
        return {cell: found[cell.vendor, cell.run_id] for cell in wanted}

    def _states(self, cells: Collection[Cell]) -> object:
        return [(cell.run_id, _again(self.runs[cell].progress)) for cell in cells]

    def _told(self, path: str, query: dict[str, Any]) -> Any:
        return _again(lambda: self.stack.api("GET", path, params=query))

    def _folder(self, cell: Cell) -> Path:
        return self.stack.home.data / "cells" / cell.run_id


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.status >= SERVER_ERROR


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_passing),
    wait=tenacity.wait_fixed(5),
    stop=tenacity.stop_after_attempt(12),
    before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
    reraise=True,
)
def _again(ask: Callable[[], T]) -> T:
    """Ask a minute long: with all processors busy Airflow's API server answers one question or another with a 500."""
    return ask()


@contextmanager
def field(poll_seconds: float = 1, tasks_at_once: int = 32) -> Iterator[Field]:
    """A stack whose Airflow has the probe in it, and the cells' DAGs, whose waits ask so often."""
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-faults-") as name:
        home = Path(name)
        shutil.copytree(Path(__file__).with_name("dags"), home / "dags")
        shutil.copy(CHECKOUT / "dags" / "pools.json", home / "dags")
        # An hour is long: nobody's edits get into it.
        shutil.copytree(CHECKOUT / "plugins", home / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
        steps = [step for vendor in VENDORS for step in steps_of(vendor)]
        control = Control(home / "control", steps, GUARDS)
        own = {"CELLS_POLL_SECONDS": str(poll_seconds), "AIRFLOW__CORE__PARALLELISM": str(tasks_at_once)}
        settings = {**UNCHANGED_FILES, **LOADED_ONCE, **NIGHT, **own, **control.settings}
        with Stack(home / "home", dags=home / "dags", plugins=home / "plugins", settings=settings, pace=PACE) as stack:
            for vendor in VENDORS:
                set_up(vendor, stack.sandbox_url)
            found = Field(stack, control)
            found.calm()
            yield found
