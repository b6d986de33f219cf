"""Files at the provider: no run that they leave no room for, and none deleted but what has landed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.clean_provider import main
from opensearch_batch.errors import Unavailable
from tests.sandbox.bench import KEY, Run, Server, rows_of


def files_at(server: Server) -> dict[str, str]:
    """Purpose by id of all there are."""
    answer = server.http.get("/v1/files", headers={"Authorization": f"Bearer {KEY}"}).raise_for_status().json()
    return {file["id"]: file["purpose"] for file in answer["data"]}


def written_days_ago(run: Run, days: float, **output: Any) -> str:
    manifest = run.manifest
    manifest["written_at"] = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    manifest["spec"] = {"output": output} if output else {}
    (run.out / "manifest.json").write_text(json.dumps(manifest))
    return f"file://{run.out}/manifest.json"


def test_a_run_without_room_is_refused_before_the_first_upload(server: Server, run: Run) -> None:
    server.upload([{"custom_id": "x", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x" * 500}}])
    spec: dict[str, Any] = {
        "name": "full",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": run.write(rows_of(5))},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        "limits": {"max_provider_bytes": 1200},
    }
    with pytest.raises(
        AirflowFailException, match=r"uploads \d+ bytes, and the provider has room for \d+: \d+ of 1200"
    ):
        run.prepare(spec["input"]["uri"], spec=spec, model=None, model_parameters=None, work_uri=None)
    assert len(files_at(server)) == 1
    assert list(run.folder.glob("work/**/*.jsonl")) == [], "no shard is left behind"
    spec["limits"] = {"max_provider_bytes": 12_000}
    run.prepare(spec["input"]["uri"], spec=spec, model=None, model_parameters=None, work_uri=None)
    found = run.xcoms["prepare", "preflight"]
    assert (found["records"], found["shards"], found["fills"], found["window_hours"]) == (5, 1, None, 24)
    assert found["storage_bytes"] == 12_000
    assert found["stored_bytes"] > 500


def prepared(run: Run, **limits: Any) -> Any:
    return run.prepare(rows_of(50), spec=spec_of(run, **limits), model=None, model_parameters=None, work_uri=None)


def spec_of(run: Run, **limits: Any) -> dict[str, Any]:
    return {
        "name": "cleared",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": "file:///in.jsonl"},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        "limits": limits,
    }


def test_what_a_run_has_uploaded_does_not_count_again_after_a_clear(server: Server, model_id: str, run: Run) -> None:
    server.pace("polls:1000")
    shards = prepared(run)
    size = run.xcoms["prepare", "plan"]["bytes"]
    run.submit(model_id, shards, spec=spec_of(run))
    assert prepared(run, max_provider_bytes=size * 3 // 2) == shards
    found = run.xcoms["prepare", "preflight"]
    assert (found["stored_bytes"], found["upload_bytes"]) == (size, 0)
    run.conf = {"force_resubmit": True}
    with pytest.raises(AirflowFailException, match=f"this run uploads {size} bytes"):
        prepared(run, max_provider_bytes=size * 3 // 2)


def test_a_cleared_run_without_room_for_the_rest_lands_what_it_has_sent(
    server: Server, model_id: str, run: Run
) -> None:
    server.pace("polls:3")
    (sent,), (left,) = prepared(run, max_requests=25)
    jobs = run.submit(model_id, [sent], spec=spec_of(run, max_requests=25))
    with pytest.raises(AirflowFailException) as refused:
        prepared(run, max_requests=25, max_provider_bytes=sent["bytes"] + left["bytes"] - 1)
    said = str(refused.value)
    assert f"uploads {left['bytes']} bytes, and the provider has room for {left['bytes'] - 1}" in said
    assert f", {sent['bytes']} by files of this run, which find its jobs again: leave those." in said
    assert run.fetch(run.wait(jobs), final=False)["landed"][0]["answered"] == 25


def test_of_a_run_that_has_landed_no_shard_is_left_behind(model_id: str, run: Run) -> None:
    run.through(model_id, rows_of(5))
    with pytest.raises(AirflowFailException, match="the provider has room for 0"):
        run.prepare(rows_of(5), overrides={"limits.max_provider_bytes": 100})
    assert list(run.folder.glob("work/**/*.jsonl")) == []


def test_a_provider_that_cannot_be_asked_is_asked_again_by_the_next_try(server: Server, run: Run) -> None:
    server.fault("down", face="openai", times=10)
    with pytest.raises(Unavailable, match="list files"):
        run.prepare(rows_of(3))
    assert list(run.folder.glob("work/**/*.jsonl")) == []


def test_what_has_landed_is_deleted_and_nothing_else(
    server: Server, model_id: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = server.upload([{"custom_id": "x", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}])
    server.fault("fail_rows", ids=["row-1"])
    run.through(model_id, rows_of(5), max_failed_fraction=0.5)
    before = set(files_at(server)) - {foreign}
    assert len(before) == 3, "input, output, errors"
    manifest = written_days_ago(run, 8, keep_provider_files_days=7)

    assert main([manifest, "--dry-run"]) == 0
    assert set(files_at(server)) == before | {foreign}
    told = capsys.readouterr().out
    assert all(f"would delete {file_id} " in told for file_id in before)
    assert "3 files would be deleted" in told

    assert main([manifest]) == 0
    assert set(files_at(server)) == {foreign}
    assert "3 files deleted" in capsys.readouterr().out
    assert main([manifest]) == 0
    assert "0 files deleted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("days", "output", "arguments", "why"),
    [
        (1000, {}, [], "neither its spec's output.keep_provider_files_days nor --keep-days"),
        (6.9, {"keep_provider_files_days": 7}, [], "they are kept until"),
        (8, {"keep_provider_files_days": 7}, ["--keep-days", "30"], "they are kept until"),
        (8, {"keep_provider_files_days": 1e12}, [], "they are kept for ever"),
        (8, {}, ["--keep-days", "inf"], "they are kept for ever"),
    ],
)
def test_files_are_kept_as_long_as_was_said(
    days: float,
    output: dict[str, Any],
    arguments: list[str],
    why: str,
    server: Server,
    model_id: str,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run.through(model_id, rows_of(2))
    before = files_at(server)
    assert main([written_days_ago(run, days, **output), *arguments]) == 0
    assert why in capsys.readouterr().out
    assert files_at(server) == before


def test_a_run_with_a_hole_keeps_its_files(
    server: Server, model_id: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fault("lose_row")
    with pytest.raises(AirflowFailException, match="not every planned row"):
        run.through(model_id, rows_of(3))
    before = files_at(server)
    assert main([run.manifest["report"]["manifest"], "--keep-days", "0"]) == 0
    assert "1 rows are missing" in capsys.readouterr().out
    assert files_at(server) == before


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_results_that_are_no_longer_whole_keep_the_files_they_came_from(
    server: Server, model_id: str, run: Run, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run.through(model_id, rows_of(3))["report"]
    landed = Path(report["results"][0].removeprefix("file://"))
    content = landed.read_bytes()
    landed.unlink()
    if damage == "short":
        landed.write_bytes(content[:-1])
    before = files_at(server)
    assert main([f"file://{run.out}/*.json", "--keep-days", "0"]) == 0
    assert f"had {len(content)} bytes when it landed and is" in capsys.readouterr().out
    assert files_at(server) == before


def test_an_input_file_that_was_not_ours_is_left(server: Server, model_id: str, run: Run) -> None:
    """Raw parameters: the file was there before, and others may use it."""
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}
    own = server.upload([{**line, "body": {"model": "text-embedding-3-small", "input": "text"}}])
    run.fetch(run.wait(run.submit(model_id, None, parameters={"input_file_id": own})))
    assert len(files_at(server)) == 2
    assert main([f"file://{run.out}/manifest.json", "--keep-days", "0"]) == 0
    assert set(files_at(server)) == {own}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such object"),
        (b"{}", "not a manifest"),
        (b'{"version": 9}', "not a manifest"),
        (b"[", "not a manifest"),
    ],
)
def test_what_is_no_manifest_is_named_and_the_others_are_seen_to(
    content: bytes | None, why: str, server: Server, model_id: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.through(model_id, rows_of(2))
    wrong = run.folder / "wrong.json"
    if content is not None:
        wrong.write_bytes(content)
    assert main([f"file://{wrong}", f"file://{run.out}/manifest.json", "--keep-days", "0"]) == 1
    assert why in capsys.readouterr().err
    assert files_at(server) == {}


def test_a_refused_key_and_a_connection_that_is_not_there_are_named(
    server: Server, model_id: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.through(model_id, rows_of(2))
    manifest, before = f"file://{run.out}/manifest.json", files_at(server)
    assert main([manifest, "--keep-days", "0", "--provider-conn-id", "nowhere"]) == 1
    assert "(AIRFLOW_CONN_NOWHERE=…), or name another one with --provider-conn-id" in capsys.readouterr().err
    body = {"error": {"message": "Incorrect API key."}}
    server.fault("answer", method="GET", path="/v1/batches/", status=401, body=body)
    assert main([manifest, "--keep-days", "0"]) == 1
    assert "Check the key in the provider's connection" in capsys.readouterr().err
    assert files_at(server) == before
