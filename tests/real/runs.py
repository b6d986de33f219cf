"""What a test sees of a DAG run: its tasks, their logs, what it landed."""

from __future__ import annotations

import json
from pathlib import Path

from stack.run import DagRun


def logs(run: DagRun, task_id: str) -> str:
    """Of all its instances."""
    chosen = [task for task in run.tasks() if task["task_id"] == task_id]
    return "\n".join(line for task in chosen for line in run.log(task, lines=1000))


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.open()]


def state_of(run: DagRun, task_id: str) -> str:
    return next((str(task["state"]) for task in run.tasks() if task["task_id"] == task_id), "")
