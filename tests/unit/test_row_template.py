"""The template of the rows in a spec: Airflow fills in a task's arguments, and leaves this one alone."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

TEMPLATE = "{{ text | e }}{% if lang %} ({{ lang }}){% endif %}"


def rendered(spec: BatchSpec) -> Any:
    with DAG("labels", schedule=None) as dag:
        batch_inference(spec)
    task: Any = dag.get_task("prepare_input")
    return task.render_template(task.spec, {"run_id": "manual"})


def test_airflow_leaves_the_rows_template_alone_and_fills_in_the_rest() -> None:
    spec = BatchSpec.check(
        {
            "name": "labels",
            "model": {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions"},
            "input": {"uri": "file:///in/{{ run_id }}.jsonl", "template": TEMPLATE},
            "output": {"uri": "file:///out"},
        }
    )
    found = rendered(spec)
    assert found["input"]["uri"] == "file:///in/manual.jsonl"
    assert BatchSpec.check(found).input.template == TEMPLATE
