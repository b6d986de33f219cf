"""Build the input file of 50,000 requests, close to 200 MB at scale 1, and upload it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.child import Work
from benchmarks.landing import connected, load_at_once, sha256
from benchmarks.measure import Benchmark, Side, Task, Unequal
from benchmarks.server import KEY

ROWS, TEXT_WORDS = 50_000, 740
INPUT, SHARDS, REQUESTS = "rows.jsonl", "shards", "requests.jsonl"
MODEL, ENDPOINT = "text-embedding-3-small", "/v1/embeddings"
WORDS = (
    *("the", "index", "holds", "every", "document", "once", "and", "answers", "a", "query", "with", "the", "nearest"),
    *("a", "line\nbreak", "or", "a", '"quoted"', "word", "and", "a", "café", "are", "ordinary", "text", "too"),
)

BENCHMARK = Benchmark(
    name="preparing",
    title="build and upload an input file (`preparation.prepare`, `OpenAIFiles.upload`), ids checked",
    sides=(
        Side("ours", "preparing:ours"),
        Side("by hand: list of dicts, `json.dumps` joined, a `Path` for the SDK; ids not checked", "preparing:by_hand"),
    ),
    make="preparing:make",
    check="preparing:check",
)


def make(task: Task, words: int = TEXT_WORDS) -> Work:
    import orjson

    def work() -> dict[str, Any]:
        chance = random.Random(1)
        texts = [" ".join(chance.choices(WORDS, k=words)) for _ in range(512)]
        with task.path(INPUT).open("wb") as out:
            for number in range(task.of(ROWS)):
                row = {"id": f"{chance.getrandbits(64):016x}", "text": f"{number} {texts[number % 512]}"}
                out.write(orjson.dumps(row) + b"\n")
        return {"rows": task.of(ROWS), "bytes": task.path(INPUT).stat().st_size}

    return work


def ours(task: Task) -> Work:
    from opensearch_batch.prepare.preparation import prepare
    from opensearch_batch.providers.openai.store import OpenAIFiles
    from opensearch_batch.spec import BatchSpec

    spec = BatchSpec.check(
        {
            "name": "benchmark",
            "model": {"name": MODEL, "endpoint": ENDPOINT},
            "input": {"uri": task.path(INPUT).as_uri()},
            "output": {"uri": task.path("unused").as_uri()},
            "limits": {"usd_per_million_tokens": 0.01},
        }
    )
    store, folder = OpenAIFiles(task.url, KEY), task.path(SHARDS).as_uri()
    load_at_once(folder)

    def work() -> dict[str, Any]:
        _, bundles = prepare(spec, "run", folder)
        shards = [shard for bundle in bundles for shard in bundle]
        ids = [store.upload(shard, f"{shard.index}.jsonl") for shard in shards]
        return {"uploads": ids, "files": [urlsplit(shard.uri).path for shard in shards]}

    return work


def by_hand(task: Task) -> Work:
    client, path = connected(task.url), task.path(REQUESTS)

    def work() -> dict[str, Any]:
        with task.path(INPUT).open(encoding="utf-8") as source:
            rows = [json.loads(line) for line in source]
        requests = [
            {
                "custom_id": row["id"],
                "method": "POST",
                "url": ENDPOINT,
                "body": {"model": MODEL, "input": row["text"]},
            }
            for row in rows
        ]
        path.write_text("\n".join(json.dumps(request) for request in requests), encoding="utf-8")
        return {"uploads": [client.files.create(file=path, purpose="batch").id], "files": [str(path)]}

    return work


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    """What arrived is what was written, and both wrote the same requests in the same order."""

    def work() -> dict[str, Any]:
        for result in results:
            if result["uploads"] != [f"file-{sha256(Path(name))}" for name in result["files"]]:
                raise Unequal(f"other bytes arrived than were written: {result}")
        first, second = (_requests(result["files"]) for result in results)
        rows = 0
        for rows, (one, other) in enumerate(zip_longest(first, second), start=1):
            if one != other:
                raise Unequal(f"request {rows} differs")
        if rows != task.of(ROWS):
            raise Unequal(f"{rows} requests for {task.of(ROWS)} rows")
        return {}

    return work


def _requests(files: list[str]) -> Iterator[Any]:
    import orjson

    for name in files:
        with Path(name).open("rb") as source:
            yield from map(orjson.loads, source)
