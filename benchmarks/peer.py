"""Beside apache-airflow-providers-common-ai, the batch operator that Airflow's own providers have: land 50,000 chat
answers; build and upload 50,000 requests, 200 MB at scale 1.

Its venv is made at the first use, in the user's cache.
"""

from __future__ import annotations

import random
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks import preparing
from benchmarks.child import Work
from benchmarks.landing import load_at_once, sha256
from benchmarks.measure import Benchmark, Side, Task, Unequal
from benchmarks.peer_side import ANSWERS, KEY, KEY16, LANDED, MAX_TOKENS, MODEL, ONE_ANSWER, PROMPTS
from benchmarks.server import KEEP_UPLOADS, UPLOADS
from benchmarks.venvs import python_with

PEER = "apache-airflow-providers-common-ai==1.0.0"
ENDPOINT = "/v1/chat/completions"
ROWS, ANSWER_WORDS = 50_000, 160
PROMPT_WORDS = 670
"""So that 50,000 requests are just under 200 MB as the peer writes them: it refuses more."""
SHARD, TOLD, SHARDS = "chat-shard.jsonl", "chat", "chat-shards"


def python() -> str:
    """The interpreter of the peer's venv."""
    return python_with(
        "peer", PEER, "apache-airflow==3.3.2", "openai==3.54.0", "apache-airflow-providers-common-io==1.11.0"
    )


LANDING = Benchmark(
    name="peer_landing",
    title="land a chat output (`landing.land`)",
    sides=(
        Side("ours", "peer:land"),
        Side(f"{PEER}: `stream_results_to_jsonl`", "peer_side:land", python),
    ),
    make="peer:make_answers",
    check="peer:check_landed",
)

SUBMIT = Benchmark(
    name="peer_submit",
    title="build and upload chat requests (`preparation.prepare`, `OpenAIFiles.upload`)",
    sides=(
        Side("ours", "peer:submit"),
        Side(f"{PEER}: a list, `compute_fingerprint`, `validate_requests`, `submit`", "peer_side:submit", python),
    ),
    make="peer:make_prompts",
    check="peer:check_submitted",
)


def make_answers(task: Task) -> Work:
    """Lines as https://platform.openai.com/docs/guides/batch shows them, in another order than asked."""
    import orjson

    def work() -> dict[str, Any]:
        chance = random.Random(1)
        texts = [" ".join(chance.choices(preparing.WORDS, k=ANSWER_WORDS)) for _ in range(512)]
        ids = [f"{KEY16}-{number}" for number in range(task.of(ROWS))]
        with task.path(SHARD).open("wb") as shard:
            shard.writelines(orjson.dumps({"custom_id": row_id, "body": {}}) + b"\n" for row_id in ids)
        task.path(ONE_ANSWER).write_bytes(orjson.dumps(line(ids[0], texts[0])) + b"\n")
        chance.shuffle(ids)
        with task.path(ANSWERS).open("wb") as out:
            out.writelines(orjson.dumps(line(row_id, texts[n % 512])) + b"\n" for n, row_id in enumerate(ids))
        return {"rows": len(ids), "bytes": task.path(ANSWERS).stat().st_size}

    return work


def line(row_id: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {
        "id": f"chatcmpl-{row_id}", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 200, "total_tokens": 220},
    }  # fmt: skip
    return {"id": f"batch_req_{row_id}", "custom_id": row_id, "error": None,
            "response": {"status_code": 200, "request_id": f"req_{row_id}", "body": body}}  # fmt: skip


def land(task: Task) -> Work:
    from opensearch_batch import providers
    from opensearch_batch.flow.jobs import Job, Outcome
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.land import landing
    from opensearch_batch.providers.openai.store import OpenAIFiles

    shard = Shard(0, task.path(SHARD).as_uri(), "", task.of(ROWS), 0, 0)
    job = Job("key", 1, "batch_1", "file_1", "task_1", "model_1", shard)
    outcome = Outcome(job, "completed", "completed", [ANSWERS], shard.records, shard.records, 0, 0, 0)
    store, folder = OpenAIFiles(task.url, KEY), task.path(TOLD).as_uri()
    load_at_once(folder)

    def work() -> dict[str, Any]:
        landed = landing.land(outcome, store, providers.DEFAULT, folder, "run").to_dict()
        return {"answered": landed["answered"], "rest": landed["records"] - landed["answered"], **landed["results"]}

    return work


def check_landed(task: Task, results: list[dict[str, Any]]) -> Work:
    """Both have each answer's text under its id."""
    import orjson

    def work() -> dict[str, Any]:
        ours, peer = Path(results[0]["uri"].removeprefix("file://")), task.path(LANDED)
        found = []
        for path, name in ((ours, "id"), (peer, "custom_id")):
            with path.open("rb") as lines:
                found.append({row[name]: row["output"] for row in map(orjson.loads, lines)})
        if found[0] != found[1] or [each["answered"] for each in results] != [task.of(ROWS)] * 2:
            raise Unequal(f"other answers on the two sides: {results}")
        if results[0]["sha256"] != sha256(ours):
            raise Unequal(f"{ours} is not what its sha256 says")
        return {}

    return work


def make_prompts(task: Task) -> Work:
    task.path(KEEP_UPLOADS).touch()
    return preparing.make(task, PROMPT_WORDS)


def submit(task: Task) -> Work:
    from opensearch_batch.prepare.preparation import prepare
    from opensearch_batch.providers.openai.store import OpenAIFiles
    from opensearch_batch.spec import BatchSpec

    spec = BatchSpec.check(
        {
            "name": "benchmark",
            "model": {"name": MODEL, "endpoint": ENDPOINT, "parameters": {"max_completion_tokens": MAX_TOKENS}},
            "input": {"uri": task.path(PROMPTS).as_uri()},
            "output": {"uri": task.path("unused").as_uri()},
            "limits": {"usd_per_million_tokens": 0.01},
        }
    )
    store, folder = OpenAIFiles(task.url, KEY), task.path(SHARDS).as_uri()
    load_at_once(folder)

    def work() -> dict[str, Any]:
        _, bundles = prepare(spec, "run", folder)
        shards = [shard for bundle in bundles for shard in bundle]
        return {"uploads": [store.upload(shard, f"{shard.index}.jsonl") for shard in shards]}

    return work


def check_submitted(task: Task, results: list[dict[str, Any]]) -> Work:
    """Both sent the same bodies in the same order; how they name a request is their own."""
    import orjson

    def bodies(uploads: list[str]) -> Any:
        for upload in uploads:
            with task.path(UPLOADS).joinpath(upload).open("rb") as lines:
                yield from (orjson.loads(line)["body"] for line in lines)

    def work() -> dict[str, Any]:
        rows = 0
        for rows, (one, other) in enumerate(zip_longest(*(bodies(each["uploads"]) for each in results)), start=1):
            if one != other:
                raise Unequal(f"request {rows} differs")
        if rows != task.of(ROWS):
            raise Unequal(f"{rows} requests for {task.of(ROWS)} rows")
        return {}

    return work
