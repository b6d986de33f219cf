"""The demo: the docstrings of the Python standard library in an index, searched by their meaning. Started again, a run
finds that nothing has changed, and sends nothing. A DAG for each specs/fill_stdlib_docs*.yaml.
"""

from pathlib import Path

from airflow.sdk import dag, task

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPECS = sorted((Path(__file__).parent / "specs").glob("fill_stdlib_docs*.yaml"))


def make_dag(spec: BatchSpec) -> None:
    @dag(dag_id=spec.name, schedule=None, tags=["demo", "index", spec.model.provider], doc_md=__doc__)
    def fill_stdlib_docs() -> None:
        @task
        def put_documents() -> str:
            """The corpus becomes an index; documents that are there and the same stay untouched."""
            from stdlib_docs_index import put_documents

            put_documents(spec.input.uri)
            return spec.input.uri

        batch_inference(spec, input_uri=put_documents())

    fill_stdlib_docs()


for path in SPECS:
    make_dag(BatchSpec.load(path))
