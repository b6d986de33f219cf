"""The demo's labels on real Airflow processes: a template that Airflow leaves alone, a repair round, a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opensearch_batch import results
from opensearch_batch.spec import BatchSpec
from stack.run import DagRun
from tests.e2e.test_repair import sent_since
from tests.e2e.test_runs import box

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

ROWS, ODD = 200, 3


def test_docstrings_are_labelled_and_what_did_not_fit_is_asked_again(stack: Stack, box: Box) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order("odd_objects", **{"as": "misfit", "count": ODD})
    run = DagRun.trigger(stack, "label_stdlib_docs")

    assert run.wait() == "success"
    report = run.xcom("report")
    counts = {name: report[name] for name in ("records", "answered", "failed", "missing", "repaired")}
    assert counts == {
        "records": ROWS, "answered": ROWS, "failed": 0, "missing": 0, "repaired": ODD
    }  # fmt: skip
    assert report["passing"] == {"invalid_output": ODD}
    assert [len(job) for job in sent_since(stack, box, known)] == [ROWS, ODD]
    spec = BatchSpec.check(run.xcom("prepare_input", key="spec"))
    assert (spec.input.template or "").startswith('<entry name="{{ id | e }}">'), "Airflow has not filled it in"
    table = results.open(report["manifest"]).to_arrow()
    assert table.num_rows == ROWS
    assert isinstance(spec.model.output_schema, dict)
    properties = spec.model.output_schema["properties"]
    assert set(properties) <= set(table.column_names)
    assert set(table["topic"].to_pylist()) <= set(properties["topic"]["enum"])
    assert str(table.schema.field("difficulty").type) == "int64"
