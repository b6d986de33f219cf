"""Text with a schema: label the docstrings of the Python standard library, five checked fields each, as a table."""

from pathlib import Path

from airflow.sdk import dag, task

from opensearch_batch.pipeline import batch_inference
from opensearch_batch.spec import BatchSpec

SPEC = BatchSpec.load(Path(__file__).parent / "specs" / "label_stdlib_docs.yaml")


@dag(schedule=None, tags=["demo", "text", SPEC.model.provider], doc_md=__doc__)
def label_stdlib_docs() -> None:
    @task
    def extract_docstrings() -> str:
        """A real corpus that every machine has; returns its URI."""
        from stdlib_docstrings import write_docstrings

        uri = SPEC.resolve(run_id="", partition="").input.uri
        write_docstrings(uri)
        return uri

    batch_inference(SPEC, input_uri=extract_docstrings())


label_stdlib_docs()
