"""Parse the project's DAG files in a fresh process, as Airflow's own DagBag does."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import Work
from benchmarks.measure import ROOT, Benchmark, Side, Task, Unequal

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

OURS, EMPTY = "dags", "empty_dags"
EMPTY_DAGS = """from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

for number in range({count}):
    with DAG(f"empty_{name}_{{number}}", schedule=None):
        EmptyOperator(task_id="nothing")
"""

BENCHMARK = Benchmark(
    name="parsing",
    title="parse all DAG files (`DagBag`), Airflow's imports included",
    sides=(
        Side("ours", "parsing:ours"),
        Side("as many files with as many DAGs of one `EmptyOperator`", "parsing:empty"),
    ),
    make="parsing:make",
    check="parsing:check",
)


def make(task: Task) -> Work:
    def work() -> dict[str, Any]:
        shutil.copytree(ROOT / "dags", task.path(OURS), ignore=shutil.ignore_patterns("__pycache__"))
        files = Counter(Path(dag.fileloc) for dag in _bag(task, OURS).dags.values())
        task.path(EMPTY).mkdir()
        for path, count in files.items():
            task.path(EMPTY).joinpath(path.name).write_text(EMPTY_DAGS.format(name=path.stem, count=count))
        return {"rows": files.total(), "bytes": sum(path.stat().st_size for path in files)}

    return work


def ours(task: Task) -> Work:
    return _parsed(task, OURS)


def empty(task: Task) -> Work:
    return _parsed(task, EMPTY)


def _parsed(task: Task, folder: str) -> Work:
    """Airflow is imported in the work: a dag-processor's child has it already, a fresh process has not."""

    def work() -> dict[str, Any]:
        bag = _bag(task, folder)
        return {"dags": len(bag.dags), "errors": {str(name): error for name, error in bag.import_errors.items()}}

    return work


def _bag(task: Task, folder: str) -> DagBag:
    from airflow.dag_processing.dagbag import DagBag

    os.environ["BATCH_DATA_URI"] = f"file://{task.folder}/data"
    return DagBag(dag_folder=str(task.path(folder)))


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        if any(result["errors"] for result in results) or len({result["dags"] for result in results}) != 1:
            raise Unequal(f"not as many DAGs on both sides: {results}")
        return {}

    return work
