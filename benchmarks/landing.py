"""Fetch, join and land an embeddings output, as JSON Lines or Parquet: 31,000 rows of 1536 numbers, 1 GB at scale 1."""

from __future__ import annotations

import hashlib
import json
import random
from array import array
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import Work
from benchmarks.measure import Benchmark, Side, Task, Unequal
from benchmarks.server import KEY

if TYPE_CHECKING:
    from openai import OpenAI

    from opensearch_batch.flow.data_files import Format

ROWS, DIMENSIONS, VECTORS = 31_000, 1536, 256
OUTPUT, SHARD, TOLD, READ, SAVED = "output.jsonl", "shard.jsonl", "ours", "text.jsonl", "saved.jsonl"

BENCHMARK = Benchmark(
    name="landing",
    title="fetch, join and land an embeddings output (`landing.land`)",
    sides=(
        Side("ours", "landing:ours"),
        Side("download alone: the SDK's `stream_to_file`, 1 MiB chunks", "landing:saved"),
        Side("by hand: `content().text`, `json.loads`, `json.dumps`", "landing:read_whole"),
    ),
    make="landing:make",
    check="landing:check",
)

PARQUET = Benchmark(
    name="landing_parquet",
    title="the same into Parquet, float32 (`landing.land`)",
    sides=(
        Side("ours", "landing:ours_parquet"),
        Side("download alone: the SDK's `stream_to_file`, 1 MiB chunks", "landing:saved"),
    ),
    make="landing:make",
    check="landing:check_parquet",
)


def make(task: Task) -> Work:
    """Numbers are single precision printed as doubles, as the API sends them; lines come in another order than asked.
    Vectors repeat after 256 rows, ids never.
    """
    import orjson

    def work() -> dict[str, Any]:
        chance = random.Random(1)
        vectors = [
            orjson.dumps(array("f", (chance.gauss(0, 0.025) for _ in range(DIMENSIONS))).tolist())
            for _ in range(VECTORS)
        ]
        ids = [f"row-{number:07d}" for number in range(task.of(ROWS))]
        with task.path(SHARD).open("wb") as shard:
            for row_id in ids:
                shard.write(orjson.dumps({"custom_id": row_id, "body": {"input": "text"}}) + b"\n")
        chance.shuffle(ids)
        with task.path(OUTPUT).open("wb") as output:
            for number, row_id in enumerate(ids):
                output.write(_line(row_id, vectors[number % VECTORS]))
        return {"rows": len(ids), "bytes": task.path(OUTPUT).stat().st_size}

    return work


def _line(row_id: str, vector: bytes) -> bytes:
    """https://platform.openai.com/docs/guides/batch: a line of an output file."""
    return (
        b'{"id": "batch_req_%b", "custom_id": "%b", "response": {"status_code": 200, "request_id": "req_%b", "body": '
        b'{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": %b}], '
        b'"model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}}}, "error": null}\n'
    ) % (row_id.encode(), row_id.encode(), row_id.encode(), vector)


def ours(task: Task) -> Work:
    return landed(task, "jsonl")


def ours_parquet(task: Task) -> Work:
    import_module("pyarrow.compute")
    import_module("pyarrow.parquet")
    return landed(task, "parquet")


def landed(task: Task, output_format: Format) -> Work:
    from opensearch_batch import providers
    from opensearch_batch.flow.jobs import Job, Outcome
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.land import landing
    from opensearch_batch.providers.openai.store import OpenAIFiles

    shard = Shard(0, task.path(SHARD).as_uri(), "", task.of(ROWS), 0, 0)
    job = Job("key", 1, "batch_1", "file_1", "task_1", "model_1", shard)
    outcome = Outcome(job, "completed", "completed", [OUTPUT], shard.records, shard.records, 0, 0, 0)
    store, folder = OpenAIFiles(task.url, KEY), task.path(TOLD).as_uri()
    load_at_once(folder)

    return lambda: landing.land(outcome, store, providers.DEFAULT, folder, "run", output_format).to_dict()


def load_at_once(uri: str) -> None:
    """Airflow and the SDK import parts at first use, which would count as work."""
    from airflow.sdk import ObjectStoragePath

    import_module("openai.resources.files")
    import_module("simdjson")
    if not ObjectStoragePath(uri).fs:
        raise RuntimeError(f"{uri}: Airflow knows no file system for it")


def saved(task: Task) -> Work:
    client = connected(task.url)

    def work() -> dict[str, Any]:
        with client.files.with_streaming_response.content(OUTPUT) as response:
            response.stream_to_file(task.path(SAVED), chunk_size=1 << 20)
        return {}

    return work


def read_whole(task: Task) -> Work:
    client = connected(task.url)

    def work() -> dict[str, Any]:
        text = client.files.content(OUTPUT).text
        with task.path(READ).open("w") as out:
            for line in text.splitlines():
                row = json.loads(line)
                vector = row["response"]["body"]["data"][0]["embedding"]
                out.write(json.dumps({"id": row["custom_id"], "embedding": vector}) + "\n")
        return {}

    return work


def connected(url: str) -> OpenAI:
    from openai import OpenAI

    import_module("openai.resources.files")
    return OpenAI(base_url=url, api_key=KEY)


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    """Every id with every number, in order, against the served file; our own counts and sha256 too."""

    def work() -> dict[str, Any]:
        told = _told(task, results[0])
        served = _vectors(task.path(OUTPUT), lambda row: (row["custom_id"], row["response"]["body"]["data"][0]))
        for path in (told, task.path(READ)):
            if _vectors(path, lambda row: (row["id"], row)) != served:
                raise Unequal(f"{path.name} has other rows than the served file")
        return {}

    return work


def check_parquet(task: Task, results: list[dict[str, Any]]) -> Work:
    """The served numbers are single precision, so they come back without a difference."""

    def work() -> dict[str, Any]:
        served = _vectors(task.path(OUTPUT), lambda row: (row["custom_id"], row["response"]["body"]["data"][0]))
        if _parquet_vectors(_told(task, results[0])) != served:
            raise Unequal("the Parquet file has other rows than the served file")
        return {}

    return work


def _told(task: Task, landed: dict[str, Any]) -> Path:
    """The landed file, which has all rows and is what its sha256 says."""
    told, rows = task.path(TOLD) / Path(landed["results"]["uri"]).name, task.of(ROWS)
    if (landed["answered"], landed["failed"], landed["missing"], landed["failures"]) != (rows, 0, 0, None):
        raise Unequal(f"not every one of {rows} rows landed: {landed}")
    if landed["results"]["sha256"] != sha256(told):
        raise Unequal(f"{told} is not what its sha256 says")
    if sha256(task.path(SAVED)) != sha256(task.path(OUTPUT)):
        raise Unequal("the saved file is not the served one")
    return told


def sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _vectors(path: Path, of: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]) -> str:
    """Digest over ids and numbers, however they are printed."""
    import orjson

    def rows() -> Iterator[tuple[str, array[float]]]:
        with path.open("rb") as source:
            for line in source:
                row_id, holder = of(orjson.loads(line))
                yield row_id, array("d", holder["embedding"])

    return _digest(rows())


def _parquet_vectors(path: Path) -> str:
    import pyarrow.parquet

    def rows() -> Iterator[tuple[str, array[float]]]:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(256, columns=["id", "embedding"]):
            for row_id, vector in zip(batch["id"], batch["embedding"], strict=True):
                yield row_id.as_py(), array("d", vector.as_py())

    return _digest(rows())


def _digest(rows: Iterator[tuple[str, array[float]]]) -> str:
    digest = hashlib.sha256()
    for row_id, numbers in rows:
        digest.update(row_id.encode() + numbers.tobytes())
    return digest.hexdigest()
