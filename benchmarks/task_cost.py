"""An Airflow plugin for benchmarks: each task process appends a line with the CPU time of its task and its peak memory
to the file named by BENCHMARK_TASK_COSTS.

Airflow calls the listener in the task's own process: right before the task, and after the task's last message was sent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

_running: dict[str, Any] = {}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    _running.update(
        task_id=task_instance.task_id,
        map_index=task_instance.map_index,
        run_id=task_instance.run_id,
        before=_cpu_seconds(),
    )


@hookimpl
def before_stopping(component: Any) -> None:
    if not _running:
        return
    line = {
        "run_id": _running["run_id"],
        "task_id": _running["task_id"],
        "map_index": _running["map_index"],
        "cpu_seconds": _cpu_seconds() - _running["before"],
        "around_seconds": _running["before"],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    with open(os.environ["BENCHMARK_TASK_COSTS"], "a", encoding="utf-8") as costs:
        costs.write(json.dumps(line) + "\n")


class TaskCost(AirflowPlugin):
    name = "task_cost"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 (Airflow's own class has it so)
