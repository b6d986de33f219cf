"""The lineage of a run that fills an index: from the index, and back to it."""

from __future__ import annotations

from pathlib import Path

from tests.index.bench import Cluster, Fill, Index, articles
from tests.index.chunks import CHUNK_FIELDS, essays
from tests.sandbox.bench import MODEL, Server
from tests.sandbox.lineage import ToldRun


def test_vectors_go_into_the_index_that_was_read(tmp_path: Path, index: Index, server: Server) -> None:
    index.add(articles(30))
    run = ToldRun(tmp_path)
    Fill(run, index, server.model()).through(lambda: index.edit("a1", body="edited"))
    address = str(index.cluster.http.base_url).removeprefix("http://").rstrip("/")
    model = f"openai {MODEL} MODEL"
    assert run.told("write_back") == {
        "inputs": [f"file {run.out} 30 rows", model],
        "outputs": [f"opensearch://{address} articles 29 rows"],
    }
    assert run.told("report") == {
        "inputs": [f"opensearch://{address} articles 30 rows", model],
        "outputs": [f"file {run.out} 30 rows 1 files", f"opensearch://{address} articles 29 rows"],
    }


def test_chunks_are_rows_of_results_and_documents_of_the_index(
    tmp_path: Path, cluster: Cluster, server: Server
) -> None:
    index = cluster.index("essays", fields=CHUNK_FIELDS)
    index.add(essays(3))
    run = ToldRun(tmp_path)
    cut = {"chunks": {"size": 120, "overlap": 0, "unit": "characters"}}
    Fill(run, index, server.model(), {"input": cut, "write_back": {"vector_field": "chunks.embedding"}}).through()
    [read, _] = run.told("write_chunks")["inputs"]
    [written] = run.told("write_chunks")["outputs"]
    assert (read, written.endswith(" essays 3 rows")) == (f"file {run.out} 15 rows", True)
