"""Runs a command of Airflow's in a process that spends little before it works. Started by file name, as keeper.py is.

An Airflow is half a million objects that stay to the end: Python's usual collections of garbage, which go through them
again and again, are a quarter of what a start costs. What ``IMPORTS`` names is there before Airflow forks a process for
each task, which would load the same again. A forked process collects as usual, and leaves out what was there before: a
triggerer would keep the garbage of vendors' clients, ten megabytes each, for hundreds of waits.
"""

from __future__ import annotations

import gc
import importlib
import os

IMPORTS = "OPENSEARCH_BATCH_STACK_IMPORTS"
OBJECTS_BETWEEN_COLLECTIONS = 50_000
USUAL = gc.get_threshold()


def collect_as_usual() -> None:
    gc.freeze()
    gc.set_threshold(*USUAL)


def main() -> None:
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    os.register_at_fork(after_in_child=collect_as_usual)
    command = importlib.import_module("airflow.__main__")
    for name in os.environ.pop(IMPORTS, "").split():
        importlib.import_module(name)
    command.main()


if __name__ == "__main__":
    main()
