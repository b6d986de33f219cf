"""Land 50,000 chat answers of five fields, each checked: by a JSON schema, by a pydantic model, and by the peer of
peer.py with an `output_type` of the same fields.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import peer, preparing
from benchmarks.child import Work
from benchmarks.labels import Label
from benchmarks.landing import load_at_once
from benchmarks.measure import Benchmark, Side, Task, Unequal
from benchmarks.peer_side import ANSWERS, KEY, KEY16, LANDED, ONE_ANSWER

ROWS, DISTINCT = 50_000, 512
SUMMARY_WORDS, PARTS = 20, 4
SCHEMA = "output-schema.json"

BENCHMARK = Benchmark(
    name="checked_landing",
    title="land a chat output, each answer checked (`landing.land`, `model.output_schema`)",
    sides=(
        Side("ours, a JSON schema", "checked:by_schema"),
        Side("ours, a pydantic model", "checked:by_model"),
        Side(f"{peer.PEER}: `stream_results_to_jsonl`, `output_type`", "peer_side:land_checked", peer.python),
    ),
    make="checked:make",
    check="checked:check",
)


def make(task: Task) -> Work:
    """As peer.make_answers; the content of each message is an object."""
    import orjson

    def work() -> dict[str, Any]:
        chance = random.Random(1)
        texts = [_object(chance) for _ in range(DISTINCT)]
        ids = [f"{KEY16}-{number}" for number in range(task.of(ROWS))]
        with task.path(peer.SHARD).open("wb") as shard:
            shard.writelines(orjson.dumps({"custom_id": row_id, "body": {}}) + b"\n" for row_id in ids)
        task.path(ONE_ANSWER).write_bytes(orjson.dumps(peer.line(ids[0], texts[0])) + b"\n")
        chance.shuffle(ids)
        with task.path(ANSWERS).open("wb") as out:
            lines = (peer.line(row_id, texts[number % DISTINCT]) for number, row_id in enumerate(ids))
            out.writelines(orjson.dumps(line) + b"\n" for line in lines)
        return {"rows": len(ids), "bytes": task.path(ANSWERS).stat().st_size}

    return work


def _object(chance: random.Random) -> str:
    words = partial(chance.choices, preparing.WORDS)
    return Label(
        topic=chance.choice(["text", "files", "network"]),
        confidence=chance.random(),
        words=chance.randrange(1000),
        summary=" ".join(words(k=SUMMARY_WORDS)),
        parts=words(k=PARTS),
    ).model_dump_json()


def by_schema(task: Task) -> Work:
    return _land(task, "by-schema", None)


def by_model(task: Task) -> Work:
    return _land(task, "by-model", f"{Label.__module__}.{Label.__name__}")


def _land(task: Task, name: str, model: str | None) -> Work:
    import orjson
    from msgspec import UNSET

    from opensearch_batch import providers
    from opensearch_batch.flow.asked import TEXTS
    from opensearch_batch.flow.jobs import Job, Outcome
    from opensearch_batch.flow.output_schema import OutputSchema
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.land import landing
    from opensearch_batch.prepare.json_schema import columns_of
    from opensearch_batch.providers.openai.store import OpenAIFiles

    said, schema_path = Label.model_json_schema(), task.path(f"{name}-{SCHEMA}")
    schema = OutputSchema(said, columns_of(said), model or UNSET)
    schema_path.write_bytes(orjson.dumps(schema.to_dict()))
    shard = Shard(
        0, task.path(peer.SHARD).as_uri(), "", task.of(ROWS), 0, 0, asked=TEXTS, schema_uri=schema_path.as_uri()
    )
    job = Job("key", 1, "batch_1", "file_1", "task_1", "model_1", shard)
    outcome = Outcome(job, "completed", "completed", [ANSWERS], shard.records, shard.records, 0, 0, 0)
    store, folder = OpenAIFiles(task.url, KEY), task.path(name).as_uri()
    load_at_once(folder)

    def work() -> dict[str, Any]:
        landed = landing.land(outcome, store, providers.DEFAULT, folder, "run").to_dict()
        return {"answered": landed["answered"], "rest": landed["records"] - landed["answered"], **landed["results"]}

    return work


def check(task: Task, results: list[dict[str, Any]]) -> Work:
    """All have each answer's object under its id."""
    import orjson

    def objects(path: Path, name: str) -> dict[str, Any]:
        with path.open("rb") as lines:
            return {row[name]: row["output"] for row in map(orjson.loads, lines)}

    def work() -> dict[str, Any]:
        ours = [objects(Path(each["uri"].removeprefix("file://")), "id") for each in results[:2]]
        if ours[0] != ours[1] or ours[0] != objects(task.path(LANDED), "custom_id"):
            raise Unequal("other answers on the sides")
        if [each["answered"] for each in results] != [task.of(ROWS)] * 3:
            raise Unequal(f"not every one of {task.of(ROWS)} rows landed: {results}")
        return {}

    return work
