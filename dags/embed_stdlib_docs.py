"""The demo: embed the docstrings of the Python standard library. A DAG for each specs/embed_stdlib_docs*.yaml."""

from pathlib import Path

from airflow.sdk import dag, task

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPECS = sorted((Path(__file__).parent / "specs").glob("embed_stdlib_docs*.yaml"))


def make_dag(spec: BatchSpec) -> None:
    @dag(dag_id=spec.name, schedule=None, tags=["demo", "embedding", spec.model.provider], doc_md=__doc__)
    def embed_stdlib_docs() -> None:
        @task
        def extract_docstrings() -> str:
            """A real corpus that every machine has; returns its URI."""
            from stdlib_docstrings import write_docstrings

            uri = spec.resolve(run_id="", partition="").input.uri
            write_docstrings(uri)
            return uri

        batch_inference(spec, input_uri=extract_docstrings())

    embed_stdlib_docs()


for path in SPECS:
    make_dag(BatchSpec.load(path))
