"""A spec as a task gets it: Airflow fills in the templates of a run, and leaves those of the rows."""

from __future__ import annotations

import pytest

from opensearch_batch.operators import PrepareInputOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.wiring.start import given


@pytest.mark.parametrize(
    "wording",
    [
        {"prompt": 'Answer as {{"label": "…"}}: {title}'},
        {"prompt": "Fill in {{name}}: {title}"},
        {"template": "{% if title %}{{ title }}{% endif %}"},
    ],
    ids=str,
)
def test_airflow_leaves_the_wording_of_rows_as_it_is(wording: dict[str, str]) -> None:
    spec = BatchSpec.check(
        {
            "name": "n",
            "model": {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions"},
            "input": {"uri": "file:///in/{{ ds }}.jsonl", **wording},
            "output": {"uri": "file:///out"},
        }
    )
    task = PrepareInputOperator(task_id="prepare_input", spec=given(spec))
    task.render_template_fields({"ds": "2026-11-29"})
    assert task.spec["input"] == {**spec.to_dict()["input"], "uri": "file:///in/2026-11-29.jsonl"}
