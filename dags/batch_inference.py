"""Run a spec from a form: choose it, bound its rows, try another model, or only see the plan. Pool: see pools.json."""

from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag

from opensearch_batch.pipeline import batch_inference as run_spec

SPECS = Path(__file__).parent / "specs"
HINTS = {"{partition}": "name a partition", "docstrings.jsonl": "after a run of the DAG embed_stdlib_docs"}
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SPECS.glob("*.yaml"))}
LABELS = {name: ", ".join([name, *(HINTS[sign] for sign in HINTS if sign in text)]) for name, text in TEXTS.items()}
ROWS: dict[str, Any] = {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000_000, "title": "Rows at most"}
MODEL: dict[str, Any] = {"examples": ["text-embedding-3-small", "text-embedding-3-large"], "title": "Model"}
TEXT: dict[str, Any] = {"type": ["string", "null"]}
PARTITION = "For a spec of partitions alone, which needs one: e.g. 2026-01-31."
DRY_RUN = "Rows, shards, tokens and price, in prepare_input's log. Nothing is sent: a run without it is the order."
PARAMS = {
    "spec": Param(min(LABELS), enum=[*LABELS], values_display=LABELS, title="Spec", description="Of dags/specs."),
    "partition": Param(None, title="Partition", description=PARTITION, **TEXT),
    "rows": Param(None, description="Empty: all.", **ROWS),
    "model": Param(None, description="Empty: the spec's. Another is registered under its own name.", **TEXT, **MODEL),
    "dry_run": Param(False, type="boolean", title="Dry run", description=DRY_RUN),
}
OVERRIDES = {
    "input.max_records": "{{ params.rows or '' }}",
    "model.name": "{{ params.model or '' }}",
    "model.registered_as": "{{ params.spec ~ '-' ~ params.model if params.model else '' }}",
    "dry_run": "{{ params.dry_run }}",
}


@dag(schedule=None, params=PARAMS, tags=["batch inference"], doc_md=__doc__)
def batch_inference() -> None:
    run_spec(f"{SPECS}/{{{{ params.spec }}}}.yaml", overrides=OVERRIDES, submit_pool="opensearch_batch_submits")


batch_inference()
