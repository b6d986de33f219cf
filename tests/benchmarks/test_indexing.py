"""Our sides beside the others, on the sandbox's cluster, and that the checks notice a difference. The client needs
a venv of its own: its sides are run by `python -m benchmarks.indexing` only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import indexing, nights
from benchmarks.child import prepared
from benchmarks.measure import Benchmark, Task, Unequal
from sandbox.server import Sandbox


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    folder = tmp_path_factory.mktemp("indexing")
    with Sandbox(Path(folder, "sandbox"), profile="2.19.6") as box, pytest.MonkeyPatch.context() as patched:
        patched.setenv("AIRFLOW_CONN_BENCH", "replaced by the sides")
        yield Task(str(folder), box.url, 0.0005)


@pytest.mark.parametrize(
    ("benchmark", "theirs", "spoiled"),
    [
        (indexing.WRITE_BACK, {"written": 16}, {"written": 15}),
        (nights.NIGHT, {"changed": 5, "bytes": 10_000_000}, {"changed": 5, "bytes": 1000}),
        (nights.SECOND_RUN, {"to send": 500}, {"to send": 499}),
    ],
    ids=lambda value: value.name if isinstance(value, Benchmark) else None,
)
def test_our_side_does_the_work_and_a_difference_is_noticed(
    benchmark: Benchmark, theirs: dict[str, int], spoiled: dict[str, int], task: Task
) -> None:
    prepared(benchmark.make, task)()
    ours = prepared(benchmark.sides[0].call, task)()
    assert prepared(benchmark.check, task, [ours, theirs])() == {}
    with pytest.raises(Unequal):
        prepared(benchmark.check, task, [ours, spoiled])()
