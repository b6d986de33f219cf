"""Parse the project's DAG files in a fresh process, as Airflow's own DagBag does."""

from __future__ import annotations

import os
import shutil
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import ROOT, Benchmark, Side, Task, Unequal

OURS, EMPTY = "dags", "empty_dags"
EMPTY_DAG = """from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("empty_{number}", schedule=None):
    EmptyOperator(task_id="nothing")
"""

BENCHMARK = Benchmark(
    name="parsing",
    title="parse all DAG files (`DagBag`), Airflow's imports included",
    sides=(
        Side("ours", "parsing:ours"),
        Side("as many files with one `EmptyOperator` DAG each", "parsing:empty"),
    ),
    make="parsing:make",
    check="parsing:check",
)


def make(task: Task) -> Work:
    def work() -> dict[str, Any]:
        shutil.copytree(ROOT / "dags", task.path(OURS), ignore=shutil.ignore_patterns("__pycache__"))
        files = [path for path in task.path(OURS).glob("*.py") if "@dag(" in path.read_text()]
        task.path(EMPTY).mkdir()
        for number in range(len(files)):
            task.path(EMPTY).joinpath(f"empty_{number}.py").write_text(EMPTY_DAG.format(number=number))
        return {"rows": len(files), "bytes": sum(path.stat().st_size for path in files)}

    return work


def ours(task: Task) -> Work:
    return _parsed(task, OURS)


def empty(task: Task) -> Work:
    return _parsed(task, EMPTY)


def _parsed(task: Task, folder: str) -> Work:
    """Airflow is imported in the work: a dag-processor's child has it already, a fresh process has not."""
    os.environ["BATCH_DATA_URI"] = f"file://{task.folder}/data"

    def work() -> dict[str, Any]:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(dag_folder=str(task.path(folder)))
        return {"dags": len(bag.dags), "errors": {str(name): error for name, error in bag.import_errors.items()}}

    return work


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        if any(result["errors"] for result in results) or len({result["dags"] for result in results}) != 1:
            raise Unequal(f"not as many DAGs on both sides: {results}")
        return {}

    return work
