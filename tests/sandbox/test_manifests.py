"""Each run has a manifest of its own, and readers follow manifest.json: it moves to complete runs, never to less."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import results
from tests.sandbox.bench import MODEL, Run, Server, lines_of, rows_of

DIE_BEFORE_THE_RENAME = """
import os, pathlib, signal, sys
from opensearch_batch.land import followed, manifest

pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
own = manifest.read_manifest(sys.argv[1])
if sys.argv[2] == "own":
    manifest.write_manifest(own)
followed.follow(own, sys.argv[3])
"""


def another(run: Run, run_id: str = "manual__again") -> Run:
    """A later run into the same folder."""
    return Run(run.folder, run_id)


def test_a_failed_rerun_leaves_the_good_manifest_and_its_files(server: Server, model_id: str, run: Run) -> None:
    run.through(model_id, rows_of(5))
    good = run.followed
    server.fault("all_rows_fail", code="model_not_found")
    with pytest.raises(AirflowFailException) as failed:
        another(run).through(model_id, [{"id": f"row-{n}", "text": f"other {n}"} for n in range(5)])
    assert f"file://{run.out}/manifest.json stays with run {run.run_id} of by_hand, which answered 5 rows" in str(
        failed.value
    )
    assert run.followed == good
    assert len(lines_of(good["files"][0]["uri"])) == 5
    assert another(run).manifest["report"]["answered"] == 0


def test_a_first_run_that_is_not_complete_is_followed_by_no_reader(server: Server, model_id: str, run: Run) -> None:
    server.fault("all_rows_fail", code="model_not_found")
    with pytest.raises(AirflowFailException, match=r"Readers find no file://\S+/manifest.json, because no run was"):
        run.through(model_id, rows_of(3))
    assert (run.manifest["report"]["failed"], (run.out / "manifest.json").exists()) == (3, False)


def test_a_run_that_answered_fewer_rows_says_so_and_is_followed_where_the_spec_allows_it(
    model_id: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.through(model_id, rows_of(5))
    fewer = another(run)
    outcomes = fewer.wait(fewer.submit(model_id, fewer.prepare(rows_of(4))))
    fewer.fetch(outcomes)
    assert "this run answered 4 rows, and file://" in caplog.text
    assert "which answered 5 rows. Where fewer rows are right" in caplog.text
    assert run.followed["run_id"] == run.run_id
    fewer.fetch(outcomes, spec=may_shrink(run))
    assert run.followed == fewer.manifest
    assert set(fewer.landed("results")) == {f"row-{n}" for n in range(4)}


def may_shrink(run: Run) -> dict[str, Any]:
    return {
        "name": "shrinks",
        "model": {"name": MODEL},
        "input": {"uri": f"file://{run.folder}/in.jsonl"},
        "output": {"uri": f"file://{run.out}", "may_shrink": True},
    }


def test_a_run_that_answered_as_many_is_followed_and_names_itself(model_id: str, run: Run) -> None:
    run.through(model_id, rows_of(5))
    again = another(run)
    report = again.through(model_id, rows_of(5))["report"]
    assert run.followed == again.manifest
    assert run.followed["run_id"] == "manual__again"
    assert run.followed["report"]["manifest"] == report["manifest"]
    assert json.loads(Path(report["manifest"].removeprefix("file://")).read_bytes()) == run.followed
    assert run.manifest["run_id"] == run.run_id, "the first run's own is still there"


def test_a_cleared_run_that_now_fails_keeps_the_files_that_readers_follow(
    server: Server, model_id: str, run: Run
) -> None:
    """Cleared with another input: nothing of it is answered, so no result was overwritten."""
    run.through(model_id, rows_of(5))
    server.fault("all_rows_fail", code="model_not_found")
    with pytest.raises(AirflowFailException, match=r"stays with run \S+ of by_hand, which answered 5 rows$"):
        run.through(model_id, [{"id": "x", "text": "another"}])
    assert (run.followed["report"]["answered"], run.manifest["report"]["answered"]) == (5, 0)
    assert len(lines_of(run.followed["files"][0]["uri"])) == 5
    run.through(model_id, rows_of(5))
    assert run.followed == run.manifest
    assert [name.partition("-")[0] for name in run.files()] == ["manifest", "manifest.json", "results"]


def test_a_cleared_run_that_then_fails_overwrites_no_file_that_readers_follow(
    server: Server, model_id: str, run: Run
) -> None:
    """Cleared with another input, of which some is answered."""
    run.through(model_id, rows_of(5))
    good = {entry["uri"]: lines_of(entry["uri"]) for entry in run.followed["files"]}
    server.fault("fail_rows", ids=["row-2"], code="too_long", message="Too long.")
    with pytest.raises(AirflowFailException, match=r"stays with run \S+ of by_hand, which answered 5 rows$"):
        run.through(model_id, [{"id": f"row-{n}", "text": f"other {n}"} for n in range(3)])
    assert (run.followed["report"]["answered"], run.manifest["report"]["answered"]) == (5, 2)
    assert {uri: lines_of(uri) for uri in good} == good
    assert len(list(results.open(f"file://{run.out}/manifest.json"))) == 5


def test_a_cleared_run_that_then_fails_leaves_the_failures_of_the_complete_one(
    server: Server, model_id: str, run: Run
) -> None:
    def through(rows: list[dict[str, Any]], failing: list[str], bad_row: bytes) -> None:
        server.fault("fail_rows", ids=failing, code="too_long", message="Too long.")
        run.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows) + bad_row)
        bundles = run.prepare(f"file://{run.folder}/in.jsonl", overrides={"input.bad_rows": "skip"})
        run.fetch(run.wait(run.submit(model_id, bundles)), max_failed_fraction=0.05)

    through(rows_of(20), ["row-2"], b'{"text": "no id"}\n')
    good = {entry["uri"]: lines_of(entry["uri"]) for entry in run.followed["files"] if entry["kind"] == "failures"}
    assert len(good) == 2
    with pytest.raises(AirflowFailException, match="2 of 19 rows failed"):
        through(rows_of(20)[1:], ["row-3", "row-4"], b"{broken\n")
    assert {uri: lines_of(uri) for uri in good} == good


@pytest.mark.parametrize("killed_at", ["own", "followed"])
def test_a_killed_write_leaves_the_manifest_as_it_was_and_the_next_try_clears_up(
    model_id: str, run: Run, killed_at: str
) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    uri = run.fetch(outcomes)["report"]["manifest"]
    before, key = run.files(), Path(uri).stem.partition("-")[2]
    ended = subprocess.run([sys.executable, "-c", DIE_BEFORE_THE_RENAME, uri, killed_at, key])
    assert ended.returncode == -signal.SIGKILL
    (left,) = set(run.files()) - set(before)
    assert left.startswith(".manifest")
    assert run.followed == run.manifest
    run.fetch(outcomes)
    assert run.files() == before
