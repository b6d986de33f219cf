"""Landing: rows sent and their answers become results and failures, of a shard of the input or of a job alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opensearch_batch import providers
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.landing import Sent, Target, land_answers
from opensearch_batch.land.reconcile import Fate, Tally
from tests.unit.test_reconcile import bad, good


def land(folder: Path, shard: Shard | None, *lines: bytes) -> Landed:
    """Land what was asked for the rows a and b."""
    job = Job("batch-key", 1, "batch_1", "file-1", "task-1", "model-1", shard)
    target = Target(f"file://{folder}", "run")
    return land_answers(Sent(job, ["a", "b"], None), lines, providers.DEFAULT, Fate(), Tally(), target)


def results_of(landed: Landed) -> dict[str, dict[str, Any]]:
    assert landed.results
    lines = Path(landed.results.uri.removeprefix("file://")).read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_a_job_without_a_shard_lands_by_itself(tmp_path: Path) -> None:
    landed = land(tmp_path, None, good("a"), bad("b"))
    assert (landed.records, landed.answered, landed.failed, landed.missing) == (2, 1, 1, 0)
    assert (landed.input_tokens, landed.output_tokens) == (0, 0)
    assert landed.repair is None
    assert list(results_of(landed)) == ["a"]


def test_a_shards_twins_land_with_their_rows_answer(tmp_path: Path) -> None:
    fields = tmp_path / "fields.jsonl"
    fields.write_text('["a",{"title":"A"}]\n["c",{"title":"C"},"a"]\n["b",{"title":"B"}]\n')
    shard = Shard(0, f"file://{tmp_path}/shard.jsonl", "", 2, 0, 0, fields_uri=f"file://{fields}", twins=1)
    landed = land(tmp_path, shard, good("a", 0.5), good("b", 0.25))
    assert (landed.records, landed.answered) == (3, 3)
    found = results_of(landed)
    assert {id: (row["title"], row["embedding"]) for id, row in found.items()} == {
        "a": ("A", [0.5]),
        "b": ("B", [0.25]),
        "c": ("C", [0.5]),
    }
