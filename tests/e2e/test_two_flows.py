"""Two flows of one DAG at one output, on real Airflow processes: what each has landed stays, and tells of its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opensearch_batch import results
from stack.run import DagRun
from tests.e2e.test_repair import clear

if TYPE_CHECKING:
    from stack.stack import Stack

pytestmark = pytest.mark.e2e

ROWS = {"titles": 30, "bodies": 12}


def test_each_flow_lands_its_own_rows_also_after_a_clear(stack: Stack) -> None:
    folder = stack.home.data / "two_flows"
    folder.mkdir()
    for name, count in ROWS.items():
        rows = [{"id": f"{name}-{n}", "text": f"{name} {n}"} for n in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = DagRun.trigger(stack, "two_flows")
    assert run.wait() == "success", [(task["task_id"], task["state"], task["try_number"]) for task in run.tasks()]

    def landed() -> dict[str, set[str]]:
        manifests = {name: run.xcom(f"{name}.report")["manifest"] for name in ROWS}
        return {name: {row["id"] for row in results.open(uri)} for name, uri in manifests.items()}

    wanted = {name: {f"{name}-{n}" for n in range(count)} for name, count in ROWS.items()}
    assert landed() == wanted
    notes = [json.loads(path.read_bytes()) for path in (folder / "work").glob("*/*/run.json")]
    assert [note["landed"] for note in notes] == [True, True]

    files = sorted(path.name for path in (folder / "results").iterdir())
    clear(stack, run, "bodies.prepare_input")
    assert run.wait() == "success"
    assert landed() == wanted
    assert sorted(path.name for path in (folder / "results").iterdir()) == files
