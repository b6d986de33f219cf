from __future__ import annotations

import subprocess
import sys

import pytest
from openlineage.client.naming.dataset import GCS, S3, DatasetNaming, LocalFileSystem

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.written import Written
from opensearch_batch.lineage.datasets import Dataset, dataset_at
from opensearch_batch.lineage.steps import Lineage, Way, of_fetch, of_submit, of_write_back

CLUSTERS = {"corpus": "search.example.com:9200", "models": "[::1]:9200"}
WAY = Way(
    dag_id="nightly",
    provider="openai",
    model="text-embedding-3-small",
    input_uri="opensearch://corpus/articles",
    output_uri="s3://lake@bucket/vectors/2026-01-05",
    opensearch_conn_id="models",
    address_of=CLUSTERS.__getitem__,
)
SHARD = Shard(0, "file:///work/0.jsonl", "0", records=90, bytes=9000, estimated_tokens=2250, twins=10)
JOB = Job("key", 1, "batch_1", "file-1", "task-1", "model-1", SHARD)
RESULTS = DataFile("s3://lake@bucket/vectors/2026-01-05/results-0.jsonl", rows=97, bytes=4000, sha256="0")

INDEX = Dataset("opensearch://search.example.com:9200", "articles")
MODEL = Dataset("openai", "text-embedding-3-small", kind="MODEL")
JOBS = Dataset("openai", "batches/nightly/text-embedding-3-small", 100, kind="JOB_OUTPUT")
VECTORS = Dataset("s3://bucket", "vectors/2026-01-05", 97)


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("s3://bucket/reports/in.jsonl", S3("bucket", "reports/in.jsonl")),
        ("s3://lake@bucket/reports/in.jsonl", S3("bucket", "reports/in.jsonl")),
        ("s3a://bucket/reports/", S3("bucket", "reports")),
        ("s3://bucket/reports/2026-01-05/*.jsonl", S3("bucket", "reports/2026-01-05")),
        ("s3://bucket/reports/2026-01-*/part-?.jsonl", S3("bucket", "reports")),
        ("s3://bucket/*.jsonl", S3("bucket", "/")),
        ("gs://bucket/in.jsonl", GCS("bucket", "in.jsonl")),
        ("gcs://key@bucket/in.jsonl", GCS("bucket", "in.jsonl")),
        ("file:///data/in.jsonl", LocalFileSystem("/data/in.jsonl")),
        ("file:///data/[ab].jsonl", LocalFileSystem("/data")),
    ],
)
def test_the_name_of_a_place_is_that_of_the_client_of_openlineage(uri: str, named: DatasetNaming) -> None:
    assert dataset_at(uri, CLUSTERS.__getitem__) == Dataset(named.get_namespace(), named.get_name())


def test_an_index_is_named_by_its_clusters_address_not_by_the_connection() -> None:
    assert dataset_at("opensearch://corpus/articles", CLUSTERS.__getitem__) == INDEX
    assert dataset_at("opensearch://models/articles", CLUSTERS.__getitem__) == Dataset(
        "opensearch://[::1]:9200", "articles"
    )


@pytest.mark.parametrize("uri", ["", "sql://warehouse"])
def test_what_has_no_name_is_no_dataset(uri: str) -> None:
    assert dataset_at(uri, CLUSTERS.__getitem__) is None


def test_a_run_is_one_way_from_the_index_back_to_it() -> None:
    landed = Landed(JOB, "completed", 100, 97, 3, 0, 0, 0, 0, 700, 0, results=RESULTS)
    written = [Written(written=50, superseded=1), Written(written=46)]
    assert of_submit(WAY, [JOB]) == Lineage([INDEX._replace(rows=100), MODEL], [JOBS])
    assert of_fetch(WAY, [landed], WAY.output_uri) == Lineage([JOBS, MODEL], [VECTORS._replace(bytes=4000, files=1)])
    assert of_write_back(WAY, 97, written) == Lineage([VECTORS, MODEL], [INDEX._replace(rows=96)])


def test_by_hand_the_model_is_the_clusters_and_the_source_is_not_known() -> None:
    by_hand = WAY._replace(model="", input_uri="", output_uri="")
    model = Dataset("opensearch://[::1]:9200", "_plugins/_ml/models/model-1", kind="MODEL")
    jobs = Dataset("openai", "batches/nightly/model-1", 100, kind="JOB_OUTPUT")
    assert of_submit(by_hand, [JOB]) == Lineage([model], [jobs])


def test_nothing_imports_openlineage_before_it_asks() -> None:
    code = (
        "import sys, opensearch_batch.operators, opensearch_batch.pipeline, opensearch_batch.tasks.lineage\n"
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] == 'openlineage'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
