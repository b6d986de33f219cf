"""Where an extra is not installed the error names it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from airflow.sdk import Connection

from opensearch_batch.chunk_section import ChunkSection
from opensearch_batch.cluster.sigv4 import Signer
from opensearch_batch.errors import SpecError
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.land.report import sum_up
from opensearch_batch.prepare.chunks import Splitter
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.providers.aws import session
from opensearch_batch.providers.cohere.avro_parts import rows_at
from opensearch_batch.providers.cohere.store import CohereDatasets
from opensearch_batch.results import Results
from opensearch_batch.sinks.formats import open_results
from opensearch_batch.sources.compression import decompressed
from opensearch_batch.sources.parquet_rows import parquet_rows
from opensearch_batch.sources.sql_rows import sql_rows

NOTHING = Manifest(
    version=1, written_at="", spec={}, report=sum_up(Plan("", 0, 0, 0, 0, None, None, None), [], ""), files=[]
)
AWS = Connection(conn_id="aws_default", conn_type="aws", extra='{"region_name": "us-east-1"}')

NEEDS: dict[str, tuple[str, str, Callable[[], object]]] = {
    "sigv4": ("boto3", "amazon", partial(Signer("us-east-1", "es").headers, "GET", "https://h/", b"")),
    "AWS session": ("botocore", "amazon", partial(session.session_of, AWS)),
    "AWS client": ("botocore", "amazon", partial(session.client_of, AWS, "s3")),
    "datasets": ("cohere", "cohere", partial(CohereDatasets, "https://h", "not-a-key")),
    "data frame": ("pandas", "pandas", lambda: Results(NOTHING, []).to_pandas()),
    "zstd": ("backports", "zstd", lambda: decompressed(io.BytesIO(b"\x28\xb5\x2f\xfd"), "in").__enter__()),
    "chunks": ("semantic_text_splitter", "chunks", lambda: Splitter(ChunkSection(size=9))),
    "Parquet": ("pyarrow", "parquet", lambda: list(parquet_rows(io.BytesIO(), "in", []))),
    "Avro": ("fastavro", "cohere", lambda: list(rows_at("https://h/part", 1, "part"))),
}


@pytest.fixture(params=NEEDS)
def need(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, Callable[[], object]]:
    module, extra, use = NEEDS[request.param]
    holding = (f"{module}.", "airflow.providers.amazon.")  # who imported it before holds it
    for name in [name for name in sys.modules if f"{name}.".startswith(holding)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    return module, extra, use


def test_an_import_that_fails_names_the_extra(need: tuple[str, str, Callable[[], object]]) -> None:
    module, extra, use = need
    with pytest.raises(SpecError, match=rf"needs {module} where tasks run: pip install 'opensearch-batch\[{extra}\]'"):
        use()


def test_a_database_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)
    with pytest.raises(SpecError, match=r"where tasks run: pip install 'opensearch-batch\[sql\]'"):
        list(sql_rows("sql://warehouse", "SELECT 1", []))


def test_parquet_names_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.compute", None)
    with pytest.raises(SpecError, match=r"parquet needs pyarrow where tasks run: .*opensearch-batch\[parquet\]"):
        open_results((tmp_path / "results").as_uri(), "parquet", {})
