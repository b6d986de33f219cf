"""The demo: embed the docstrings of the Python standard library. Spec: specs/embed_stdlib_docs.yaml."""

from pathlib import Path

from airflow.sdk import dag, task

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = BatchSpec.load(Path(__file__).parent / "specs" / "embed_stdlib_docs.yaml")


@dag(schedule=None, tags=["demo", "embedding"], doc_md=__doc__)
def embed_stdlib_docs() -> None:
    @task
    def extract_docstrings() -> str:
        """A real corpus that every machine has; returns its URI."""
        from stdlib_docstrings import write_docstrings

        uri = SPEC.resolve(run_id="", partition="").input.uri
        write_docstrings(uri)
        return uri

    batch_inference(SPEC, input_uri=extract_docstrings())


embed_stdlib_docs()
