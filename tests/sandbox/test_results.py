"""What lands, and how: Parquet beside JSON Lines, a task killed in the middle, a download longer than told."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from tests.sandbox.bench import KEY, Run, Server, lines_of, rows_of

FETCH_AND_SAY_WHEN_HALF_IS_THERE = """
import json, sys
from opensearch_batch import providers
from opensearch_batch.flow.jobs import Outcome
from opensearch_batch.land import landing
from opensearch_batch.providers.openai.store import OpenAIFiles

outcome, url, key, output_uri, run_key = json.loads(sys.argv[1])
store = OpenAIFiles(url, key)

class Halved:
    def answers(self, outcome):
        lines = list(store.answers(outcome))
        yield from lines[: len(lines) // 2]
        print("half", flush=True)
        sys.stdin.read()

landing.land(Outcome.from_dict(outcome), Halved(), providers.DEFAULT, output_uri, run_key, "parquet")
"""


def table_of(run: Run) -> list[dict[str, Any]]:
    """All rows of the Parquet files that the manifest names."""
    named = [entry["uri"] for entry in run.manifest["files"] if entry["kind"] == "results"]
    return [row for uri in named for row in pyarrow.parquet.read_table(uri.removeprefix("file://")).to_pylist()]


def test_parquet_has_what_json_lines_have_in_single_precision(server: Server, model_id: str, run: Run) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(25), max_requests=10))
    outcomes = run.wait(jobs)
    run.fetch(outcomes)
    lines = run.landed("results")
    run.fetch(outcomes, output_format="parquet")
    rows = table_of(run)
    assert {row["id"]: row["embedding"] for row in rows} == {
        row_id: array("f", row["embedding"]).tolist() for row_id, row in lines.items()
    }
    assert len(rows) == 25
    assert {row["batch_id"] for row in rows} == {job["provider_job_id"] for job in jobs}
    assert {(row["shard"], row["model_id"]) for row in rows} == {(f"0000{n}", model_id) for n in range(3)}
    assert all(row["input_tokens"] > 0 for row in rows)
    assert [entry["rows"] for entry in run.manifest["files"]] == [10, 10, 5]
    assert [name for name in run.files() if name.endswith(".jsonl")] == [], "those of the fetch before are gone"


def test_texts_land_in_parquet_and_reasons_as_json_lines(server: Server, run: Run) -> None:
    model_id = server.model("/v1/chat/completions", "gpt-4o-mini")
    server.fault("fail_rows", ids=["row-2"], code="too_long", message="Too long.")
    chat = {"endpoint": "/v1/chat/completions", "model": "gpt-4o-mini", "model_parameters": {"max_tokens": 50}}
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(5), **chat)))
    run.fetch(outcomes, output_format="parquet", max_failed_fraction=0.5)
    rows = table_of(run)
    assert {row["id"] for row in rows} == {"row-0", "row-1", "row-3", "row-4"}
    assert all(row["output"] and row["output_tokens"] > 0 for row in rows)
    assert set(run.landed("failures")) == {"row-2"}


def test_base64_vectors_land_exactly(server: Server, model_id: str, run: Run) -> None:
    values = {f"row-{n}": array("f", [n / 7, -n / 3, 1e-30]) for n in range(4)}
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(4), model_parameters={"dimensions": 3})))
    lines = [
        {"custom_id": row_id, "response": {"status_code": 200, "body": {"data": [{"embedding": encoded(vector)}]}}}
        for row_id, vector in values.items()
    ]
    file_id = server.upload(lines)
    run.fetch([{**outcomes[0], "outputs": [file_id]}], output_format="parquet")
    assert {row["id"]: array("f", row["embedding"]) for row in table_of(run)} == values


def encoded(vector: array[float]) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def test_where_nothing_was_answered_there_is_no_parquet_file(server: Server, model_id: str, run: Run) -> None:
    server.fault("all_rows_fail", code="invalid_request")
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    run.fetch(outcomes, output_format="parquet", max_failed_fraction=1.0)
    assert [name.split("-")[0] for name in run.files()] == ["failures", "manifest.json"]


def test_the_spec_says_the_format(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    spec = {
        "name": "said",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": "file:///in.jsonl"},
        "output": {"uri": "file:///elsewhere", "format": "parquet"},
    }
    run.fetch(outcomes, spec=spec)
    assert len(table_of(run)) == 3
    with pytest.raises(AirflowFailException, match="'csv' is not one of jsonl, parquet"):
        run.fetch(outcomes, output_format="csv")


def test_a_fetch_killed_in_the_middle_leaves_nothing_that_a_reader_finds(
    server: Server, model_id: str, run: Run
) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(40))))
    report = run.fetch(outcomes, output_format="parquet")["report"]
    whole, (results,) = run.files(), report["results"]
    key = Path(results).name.split("-")[1]
    given = json.dumps([outcomes[0], f"{server.url}/v1", KEY, f"file://{run.out}", key])
    with subprocess.Popen(
        [sys.executable, "-c", FETCH_AND_SAY_WHEN_HALF_IS_THERE, given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half\n"
        killed.send_signal(signal.SIGKILL)
    left = sorted(set(run.files()) - set(whole))
    assert left
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)
    assert len(table_of(run)) == 40, "what had landed before is untouched"
    run.fetch(outcomes, output_format="parquet")
    assert run.files() == whole, "the manifest's clean-up takes away what the killed task left"


def test_a_download_longer_than_told_is_stopped_and_nothing_is_left(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(300))))
    (file_id,) = outcomes[0]["outputs"]
    told = {"id": file_id, "object": "file", "bytes": 1000, "filename": "x", "purpose": "batch_output"}
    server.fault("answer", method="GET", path=f"/v1/files/{file_id}$", status=200, body=told)
    with pytest.raises(Unavailable, match=f"download of {file_id}: more came than the 1000 bytes"):
        run.fetch(outcomes)
    assert run.files() == []
    assert len([call for call in server.calls if call["path"].endswith("/content")]) == 1
    assert run.fetch(outcomes)["report"]["answered"] == 300


def test_a_full_disk_fails_the_fetch_for_a_while_only(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    report = run.fetch(outcomes)["report"]
    name, before = Path(report["results"][0]).name, lines_of(report["results"][0])
    monkeypatch.setattr("os.getpid", lambda: 7)
    (run.out / f".{name}.7.partial").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="No space left on device"):
        run.fetch(outcomes)
    assert lines_of(report["results"][0]) == before
    assert run.files() == ["manifest.json", name]
    run.fetch(outcomes)
