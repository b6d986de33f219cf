"""Run a spec from a form: choose it, bound its rows, try another model, or only see the plan. Pool: see pools.json."""

from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag

from opensearch_batch.pipeline import batch_inference as run_spec

SPECS = Path(__file__).parent / "specs"
NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))
ROWS: dict[str, Any] = {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000_000, "title": "Rows at most"}
MODEL: dict[str, Any] = {
    "type": ["string", "null"],
    "examples": ["text-embedding-3-small", "text-embedding-3-large"],
    "title": "Model",
}
SPEC_HELP = "A file in dags/specs. Those about the docstrings need one run of the DAG embed_stdlib_docs before."
PARAMS = {
    "spec": Param(NAMES[0], enum=NAMES, title="Spec", description=SPEC_HELP),
    "rows": Param(None, description="Empty: all.", **ROWS),
    "model": Param(None, description="Empty: the spec's own. Another one is registered under its own name.", **MODEL),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Rows, shards, tokens, money; nothing is sent."
    ),
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
