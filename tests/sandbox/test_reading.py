"""Results are read through their manifest, JSON Lines and Parquet, on files and on S3; the docs' snippets are run."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.io import store as kept_storages
from s3fs import S3FileSystem

from opensearch_batch import clean_results, results, storage
from opensearch_batch.errors import InputError
from tests.sandbox.bench import Run, Server, rows_of
from tests.vendors.vendors import BUCKET, aws, aws_connection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "results.md"
SNIPPETS: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PRINTED = "s3://aws_default@corpus/embeddings/2026-01-31"
IDS = {f"row-{n}" for n in range(25)}


@pytest.fixture(autouse=True)
def a_process_of_its_own() -> Iterator[None]:
    """Airflow and fsspec keep a storage they made, with its key, as long as their process lives."""
    yield
    kept_storages._STORE_CACHE.clear()
    S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["file", "s3"])
def output_uri(request: pytest.FixtureRequest, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """On S3 the address that the page prints."""
    if request.param == "file":
        return f"file://{run.out}"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(server))
    aws(server, "s3").create_bucket(Bucket=BUCKET)
    return PRINTED


@pytest.fixture(params=["jsonl", "parquet"])
def output_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def landed(model_id: str, run: Run, output_uri: str, output_format: str) -> str:
    """The manifest of 25 rows in three files."""
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(25), max_requests=10)))
    run.fetch(outcomes, output_uri=output_uri, output_format=output_format)
    return f"{output_uri}/manifest.json"


def test_rows_tables_and_frames_are_the_same_rows(landed: str) -> None:
    found = results.open(landed)
    rows = {row["id"]: row["embedding"] for row in found}
    assert (set(rows), len(found), len(found.files)) == (IDS, 25, 3)
    table, frame = found.to_arrow(), found.to_pandas()
    assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), 8)
    assert dict(zip(*(table[name].to_pylist() for name in ("id", "embedding")), strict=True)) == {
        row_id: pytest.approx(vector, abs=1e-6) for row_id, vector in rows.items()
    }
    assert isinstance(frame, pandas.DataFrame)
    assert {row_id: list(vector) for row_id, vector in zip(frame["id"], frame["embedding"], strict=True)} == {
        row_id: pytest.approx(vector, abs=1e-6) for row_id, vector in rows.items()
    }


def test_the_pages_snippets_run(landed: str, output_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of other libraries on files alone: on S3 they have credentials of their own."""
    other = {"parquet": "read_parquet", "jsonl": "read_json"}[output_format]
    names: dict[str, Any] = {}
    ran = 0
    for code in SNIPPETS:
        of_another_library = "found.files" in code
        if 'results.open("' in code or (of_another_library and other in code and landed.startswith("file:")):
            exec(
                compile(code.replace(PRINTED, landed.rpartition("/")[0]).replace("[256]", "[8]"), PAGE.name, "exec"),
                names,
            )
            ran += 1
    assert ran == (2 if landed.startswith("file:") else 1)
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == IDS
    assert (names["table"].num_rows, len(names["frame"])) == (25, 25)
    if landed.startswith("file:"):
        assert isinstance(names["lazy"], polars.LazyFrame)
        assert set(names["lazy"].collect()["id"]) == IDS
        assert isinstance(names["relation"], duckdb.DuckDBPyRelation)
        assert {row[0] for row in names["relation"].project("id").fetchall()} == IDS


@pytest.mark.parametrize("output_uri", ["file"], indirect=True)
def test_the_pages_consumer_reads_the_run_that_the_event_names(landed: str, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [code for code in SNIPPETS if "@dag" in code]
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), names)
    index = names["index_articles"]().get_task("index").python_callable
    index({names["ARTICLES"]: [SimpleNamespace(extra={"manifest": landed})]})
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == IDS


def test_memory_does_not_grow_with_the_data(tmp_path: Path, model_id: str, run: Run) -> None:
    """Twenty thousand vectors of 64 numbers, 27 MB: one line at a time."""
    manifest = json.loads(
        Path(run.through(model_id, rows_of(1))["report"]["manifest"].removeprefix("file://")).read_bytes()
    )
    line = json.dumps({"id": "x", "embedding": [1 / 3] * 64}).encode() + b"\n"
    content = line * 20_000
    (tmp_path / "results-big.jsonl").write_bytes(content)
    manifest["files"] = [
        {"kind": "results", "uri": "x://y/results-big.jsonl", "rows": 20_000, "bytes": len(content), "sha256": ""}
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = results.open(f"file://{tmp_path}/manifest.json")
    tracemalloc.start()
    try:
        assert sum(len(row["embedding"]) for row in found) == 64 * 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(content) / 10


def test_texts_are_a_table_with_their_marks(server: Server, run: Run, output_format: str) -> None:
    model_id = server.model("/v1/chat/completions", "gpt-4o-mini")
    chat = {"endpoint": "/v1/chat/completions", "model": "gpt-4o-mini", "model_parameters": {"max_tokens": 50}}
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(5), **chat)))
    run.fetch(outcomes, output_format=output_format)
    found = results.open(f"file://{run.out}/manifest.json")
    assert {row["id"] for row in found if row["output"]} == {f"row-{n}" for n in range(5)}
    assert set(found.to_pandas()["output"]) == {row["output"] for row in found}


def test_a_run_without_answers_is_an_empty_table(server: Server, model_id: str, run: Run) -> None:
    server.fault("all_rows_fail", code="invalid_request")
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    run.fetch(outcomes, max_failed_fraction=1.0)
    found = results.open(f"file://{run.out}/manifest.json")
    assert (list(found), len(found), found.files) == ([], 0, [])
    assert (found.to_arrow().num_rows, found.to_pandas().empty) == (0, True)


def test_a_copied_folder_is_read_where_it_lies(model_id: str, run: Run) -> None:
    run.through(model_id, rows_of(3))
    copy = run.out.rename(run.folder / "copied")
    assert len(list(results.open(f"file://{copy}/manifest.json"))) == 3


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_file_that_is_no_longer_the_runs_is_refused_before_any_row(model_id: str, run: Run, damage: str) -> None:
    (uri,) = run.through(model_id, rows_of(3))["report"]["results"]
    path = Path(uri.removeprefix("file://"))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"results-\S+ (is gone|has \d+ bytes), and file://\S+/manifest.json says"):
        results.open(f"file://{run.out}/manifest.json")


def test_without_a_complete_run_the_error_names_the_manifests_there_are(
    server: Server, model_id: str, run: Run
) -> None:
    with pytest.raises(InputError, match="manifest.json: no such object$"):
        results.open(f"file://{run.out}/manifest.json")
    server.fault("all_rows_fail", code="invalid_request")
    with pytest.raises(AirflowFailException):
        run.through(model_id, rows_of(3))
    with pytest.raises(
        InputError, match=r"No run there is complete yet; manifests of runs that are not: manifest-\w+\.json$"
    ):
        results.open(f"file://{run.out}/manifest.json")


def test_vectors_of_several_lengths_are_rows_and_no_table(model_id: str, run: Run) -> None:
    (uri,) = run.through(model_id, rows_of(2))["report"]["results"]
    path = Path(uri.removeprefix("file://"))
    first, second = path.read_bytes().splitlines()
    vector = json.loads(second)["embedding"]
    path.write_bytes(
        first + b"\n" + json.dumps({"id": "x", "embedding": vector[:-1]}).encode().ljust(len(second)) + b"\n"
    )
    found = results.open(f"file://{run.out}/manifest.json")
    assert [len(row["embedding"]) for row in found] == [8, 7]
    with pytest.raises(InputError, match="vectors of several lengths. Iterate over the results instead"):
        found.to_arrow()


def written_days_ago(days: float, uri: str) -> None:
    """The manifest at `uri`, as if it had been written then."""
    with storage.open_binary(uri) as source:
        manifest = json.load(source)
    manifest["written_at"] = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    storage.write_object(uri, json.dumps(manifest).encode())


@pytest.fixture
def three_runs(server: Server, model_id: str, run: Run, output_uri: str) -> list[set[str]]:
    """The names of each run's files; readers follow the second, and the third, which answered fewer, is newer."""
    names: list[set[str]] = [{"manifest.json", "notes.txt"}]
    storage.write_object(f"{output_uri}/notes.txt", b"a person's own")
    for number, rows in enumerate((5, 5, 4)):
        one = Run(run.folder, f"run-{number}")
        server.fault("fail_rows", ids=["row-1"], code="too_long", message="Too long.")
        report = one.through(model_id, rows_of(rows), output_uri=output_uri, max_failed_fraction=0.5)["report"]
        names.append(set(storage.names_in(output_uri)).difference(*names))
        written_days_ago(3 - number, report["manifest"])
    written_days_ago(2, f"{output_uri}/manifest.json")
    return names


def test_the_clean_up_removes_superseded_runs_and_nothing_else(
    three_runs: list[set[str]], output_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, superseded, *_ = three_runs
    everything = set[str]().union(*three_runs)
    assert clean_results.main([output_uri, "--dry-run"]) == 0
    assert set(storage.names_in(output_uri)) == everything
    told = capsys.readouterr().out
    assert all(f"would remove {output_uri}/{name}" in told for name in superseded)
    assert "3 files would be removed" in told, "results, failures, manifest"

    assert clean_results.main([f"{output_uri}/manifest.json", "--keep-days", "2.5"]) == 0
    assert "nothing is removed: superseded runs are kept until" in capsys.readouterr().out
    assert set(storage.names_in(output_uri)) == everything

    assert clean_results.main([f"{output_uri}/manifest.json"]) == 0
    assert set(storage.names_in(output_uri)) == everything - superseded
    assert len(list(results.open(f"{output_uri}/manifest.json"))) == 4
    assert clean_results.main([output_uri]) == 0
    assert "0 files removed" in capsys.readouterr().out


@pytest.mark.parametrize("output_uri", ["file"], indirect=True)
def test_the_clean_up_passes_over_what_another_has_removed_since_the_list(
    three_runs: list[set[str]], run: Run, output_uri: str
) -> None:
    """The name is in the list and the object is gone, as a link to nothing is."""
    everything = set(run.files())
    (run.out / "manifest-0123456789.json").symlink_to(run.out / "nowhere")
    assert clean_results.main([output_uri]) == 0
    assert set(storage.names_in(output_uri)) - {"manifest-0123456789.json"} == everything - three_runs[1]


@pytest.mark.parametrize("output_uri", ["file"], indirect=True)
def test_the_clean_up_takes_days_that_no_calendar_has_for_ever(
    three_runs: list[set[str]], output_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean_results.main([output_uri, "--keep-days", "inf"]) == 0
    assert "nothing is removed: superseded runs are kept for ever" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        clean_results.main([output_uri, "--keep-days", "nan"])
    assert set(storage.names_in(output_uri)) == set[str]().union(*three_runs)


@pytest.mark.parametrize("output_uri", ["file"], indirect=True)
@pytest.mark.parametrize(
    ("other", "named"),
    [({"dag_id": "weekly"}, "of the DAG weekly, fetch."), ({"dag_id": None, "flow": ""}, "of a run outside Airflow.")],
)
def test_the_clean_up_leaves_runs_of_other_dags(
    three_runs: list[set[str]],
    other: dict[str, Any],
    named: str,
    run: Run,
    output_uri: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where two DAGs land in one folder, nothing of the other's may be in what readers follow."""
    [manifest] = [run.out / name for name in three_runs[1] if name.startswith("manifest-")]
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), **other}))
    assert clean_results.main([output_uri]) == 0
    assert set(storage.names_in(output_uri)) == set[str]().union(*three_runs)
    assert f"left file://{manifest} and its files: {named}" in capsys.readouterr().out


@pytest.mark.parametrize("output_uri", ["file"], indirect=True)
def test_the_clean_up_takes_what_a_killed_try_of_a_superseded_run_left(
    three_runs: list[set[str]], run: Run, output_uri: str
) -> None:
    key = next(Path(name).stem for name in three_runs[1] if name.startswith("manifest-")).removeprefix("manifest-")
    left = [
        f".results-{key}-00000.jsonl.7.partial",
        f".manifest-{key}.json.7.partial",
        f".manifest.json.{key}.7.partial",
    ]
    for name in left:
        (run.out / name).write_text("begun")
    assert clean_results.main([output_uri]) == 0
    assert not [name for name in run.files() if key in name]


def test_where_no_run_is_complete_nothing_is_superseded(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean_results.main([f"file://{run.out}"]) == 1
    assert "there is no manifest.json, so no run is superseded" in capsys.readouterr().err
