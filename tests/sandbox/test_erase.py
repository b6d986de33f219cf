"""Erasure of rows of files: in Parquet, with several texts a request, of runs that nobody knows, beside other specs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import clean_results, providers, results
from opensearch_batch.erase.__main__ import main
from opensearch_batch.erase.provider_files import Wanted, look_at_provider
from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.operators import EraseOperator, PrepareInputOperator, ReportOperator
from opensearch_batch.providers.store import open_store_of
from tests.sandbox.bench import KEY, MODEL, Run, Server, rows_of

SECRET = "Plainly Fake Person, 1 Nowhere Street"
WANTED = Wanted(
    names=["person"],
    rows=RowNames(frozenset(["person"])),
    hashes=(),
    keys=(),
    known=(),
    whole_rows=(),
    sharers={},
    model=b"",
)


def spec_of(run: Run, uri: str, **settings: Any) -> dict[str, Any]:
    sections = {name: value for name, value in settings.items() if name not in ("model", "output", "input")}
    return {
        "name": "rows",
        "model": {"name": MODEL, "parameters": {"dimensions": 8}, **settings.get("model", {})},
        "input": {"uri": uri, **settings.get("input", {})},
        "output": {"uri": f"file://{run.folder}/out/{{run_id}}", "include": ["text"], **settings.get("output", {})},
        "work_uri": f"file://{run.folder}/work",
        **sections,
    }


def through(run: Run, model_id: str, rows: list[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """The spec, after a whole run of it."""
    spec = spec_of(run, run.write(rows), **settings)
    shards = run.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=run.dag))
    resolved = run.xcoms["prepare", "spec"]
    landed = run.fetch(run.wait(run.submit(model_id, shards, spec=resolved)), spec=resolved, output_uri="", final=False)
    run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[landed]))
    return spec


def erase(folder: Path, spec: dict[str, Any], run_id: str = "erasure", **settings: Any) -> dict[str, Any]:
    operator = EraseOperator(task_id="erase", spec=spec, **{"ids": ["person"], "remove": True, **settings})
    told = Run(folder, run_id).execute(operator)
    found: dict[str, Any] = json.loads(Path(told["proof"].removeprefix("file://")).read_bytes())
    return found


def with_person(count: int = 20) -> list[dict[str, Any]]:
    return [*rows_of(count), {"id": "person", "text": SECRET}]


def provider_has(server: Server, text: str) -> bool:
    headers = {"Authorization": f"Bearer {KEY}"}
    contents = [server.http.get(f"/v1/files/{each['id']}/content", headers=headers).text for each in server.uploads()]
    return any(text in content for content in contents)


def kinds(proof: dict[str, Any]) -> set[str]:
    return {place["kind"] for place in proof["places"] if place["found"]}


@pytest.mark.parametrize("texts_per_request", [1, 8])
@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_rows_of_every_run_and_format_go(
    run: Run, model_id: str, server: Server, tmp_path: Path, output_format: str, texts_per_request: int
) -> None:
    settings: dict[str, Any] = {"model": {"texts_per_request": texts_per_request}, "output": {"format": output_format}}
    for name in ("one", "two"):
        each = Run(tmp_path, name)
        spec = through(each, model_id, with_person(), **settings)
    before = results.open(f"file://{tmp_path}/out/two/manifest.json").to_arrow()
    assert provider_has(server, SECRET)
    proof = erase(tmp_path, spec)
    assert (proof["state"], kinds(proof)) == ("erased", {"provider file", "work file", "results"})
    assert sum(place["found"] for place in proof["places"] if place["kind"] == "results") == 2
    assert not provider_has(server, SECRET)
    after = results.open(f"file://{tmp_path}/out/two/manifest.json")
    assert len(after) == 20
    assert after.to_arrow().to_pylist() == [row for row in before.to_pylist() if row["id"] != "person"]
    assert after.to_arrow().schema == before.schema
    left = [path.name for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == ["in.jsonl"]
    assert (tmp_path / "out" / "erasures" / "erasure.json").exists()


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_chunks_of_a_row_of_files_go_with_it(
    run: Run, model_id: str, server: Server, tmp_path: Path, output_format: str
) -> None:
    text = " ".join(f"{SECRET}, sentence {number}." for number in range(6))
    rows = [*rows_of(5), {"id": "person", "text": text}, {"id": "person#0", "text": "another row"}]
    cut = {"uri": run.write(rows), "chunks": {"size": 60, "unit": "characters"}}
    spec = through(run, model_id, rows, input=cut, output={"format": output_format})
    proof = erase(tmp_path, spec)
    assert (proof["state"], kinds(proof)) == ("erased", {"provider file", "work file", "results"})
    assert sum(place["found"] for place in proof["places"] if place["kind"] == "results") == 6
    [manifest] = (tmp_path / "out").glob("*/manifest.json")
    left = {row["id"] for row in results.open(f"file://{manifest}")}
    assert left == {*(f"row-{number}#0" for number in range(5)), "person#0#0"}
    assert not provider_has(server, SECRET)


def test_results_in_a_folder_with_brackets_in_its_name_go_too(
    run: Run, model_id: str, server: Server, tmp_path: Path
) -> None:
    spec = through(run, model_id, with_person(), output={"uri": f"file://{tmp_path}/[prod]/results [v2] {{run_id}}"})
    assert kinds(erase(tmp_path, spec)) == {"provider file", "work file", "results"}
    left = [path.name for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == ["in.jsonl"]


def test_a_file_that_only_had_this_row_is_gone(run: Run, model_id: str, tmp_path: Path) -> None:
    spec = through(run, model_id, [{"id": "person", "text": SECRET}])
    erase(tmp_path, spec)
    [manifest] = (tmp_path / "out").glob("*/manifest.json")
    found = results.open(f"file://{manifest}")
    assert (list(found), len(found), found.manifest.files) == ([], 0, [])


def test_the_same_id_of_another_spec_is_another_row(run: Run, model_id: str, server: Server, tmp_path: Path) -> None:
    """Both use one work_uri and one account."""
    other = Run(tmp_path, "other")
    through(other, model_id, [*rows_of(5), {"id": "person", "text": "of another table"}], name="another",
            output={"uri": f"file://{tmp_path}/another"})  # fmt: skip
    spec = through(run, model_id, with_person())
    with pytest.raises(AirflowFailException, match="rows with these ids, of runs that nobody knows"):
        erase(tmp_path, spec)
    proof = erase(tmp_path, spec, unknown="keep")
    assert proof["state"] == "erased"
    assert provider_has(server, "of another table")
    assert not provider_has(server, SECRET)
    assert "person" in {row["id"] for row in results.open(f"file://{tmp_path}/another/manifest.json")}


@pytest.mark.parametrize("texts_per_request", [1, 8])
def test_the_files_of_a_job_that_another_specs_run_has_paid_for_go_too(
    run: Run, model_id: str, server: Server, tmp_path: Path, texts_per_request: int
) -> None:
    shared = {"limits": {"same_input": "share"}, "model": {"texts_per_request": texts_per_request}}
    other = {"name": "another", "output": {"uri": f"file://{tmp_path}/another"}}
    through(Run(tmp_path, "other"), model_id, with_person(), **shared, **other)
    spec = through(run, model_id, with_person(), **shared)
    assert (len(server.ledger), provider_has(server, SECRET)) == (1, True)
    shutil.rmtree(tmp_path / "work")  # the shards would name the requests too
    proof = erase(tmp_path, spec, unknown="keep")
    found = {place["note"] for place in proof["places"] if place["kind"] == "provider file" and place["found"]}
    assert found == {"", "output of a job with the rows: removed whole"}
    assert server.uploads() == []


def test_what_killed_tasks_have_left_goes_too(run: Run, model_id: str, tmp_path: Path) -> None:
    spec = through(run, model_id, with_person())
    [folder] = [path.parent for path in (tmp_path / "out").glob("*/manifest.json")]
    line = b'{"id":"person","text":"%b"}\n' % SECRET.encode()
    (folder / ".results-0000000000-00000-00000000.jsonl.123.partial").write_bytes(line)
    (folder / "results-0000000000-00000-00000000.jsonl").write_bytes(line)
    of_a_live_run = folder / ".results-1111111111-00000-00000000.jsonl.124.partial"
    of_a_live_run.write_bytes(b'{"id":"row-1"}\n{"id":"ro')
    proof = erase(tmp_path, spec)
    assert "unnamed file" in kinds(proof)
    assert of_a_live_run.exists()
    assert not [path for path in folder.iterdir() if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "listed",
    [
        "out/*/manifest-0123456789.json",
        "out/*/results-0123456789-00000-00000000.jsonl",
        "work/*/prepare/shard-00009.jsonl",
        "paid-for/0123456789.parquet",
    ],
)
def test_what_others_remove_while_an_erasure_looks_is_no_end_of_it(
    run: Run, model_id: str, tmp_path: Path, listed: str
) -> None:
    """The name is in the list and the object is gone, as a link to nothing is: the next try lists anew."""
    spec = through(run, model_id, with_person(), reuse={"uri": f"file://{tmp_path}/paid-for"})
    pattern, name = listed.rsplit("/", 1)
    [folder] = tmp_path.glob(pattern)
    gone = folder / name
    gone.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Unavailable, match=f"{name}.*gone since it was listed"):
        erase(tmp_path, spec)
    gone.unlink()
    assert erase(tmp_path, spec)["state"] == "erased"


def test_an_input_file_that_is_deleted_while_the_provider_is_looked_at_is_passed_over(
    run: Run, model_id: str, server: Server
) -> None:
    jobs = run.submit(model_id, run.prepare(rows_of(2), max_requests=1))
    run.wait(jobs)
    store = open_store_of(providers.DEFAULT, providers.DEFAULT.CONNECTION)
    looked = look_at_provider(store, providers.DEFAULT, WANTED, [])
    first = next(looked)
    (gone,) = {each["input_file_id"] for each in jobs} - {first.id}
    store.delete_file(gone)
    assert [*looked] == []


def test_an_input_file_that_the_provider_has_and_refuses_is_not_passed_over(
    run: Run, model_id: str, server: Server
) -> None:
    (job,) = run.submit(model_id, run.prepare(rows_of(2)))
    server.fault("answer", method="GET", path=f"{job['input_file_id']}/content", status=404, body={}, times=-1)
    store = open_store_of(providers.DEFAULT, providers.DEFAULT.CONNECTION)
    with pytest.raises(Refused, match=job["input_file_id"]):
        list(look_at_provider(store, providers.DEFAULT, WANTED, []))


def test_a_repeated_erasure_keeps_its_proof(run: Run, model_id: str, tmp_path: Path) -> None:
    spec = through(run, model_id, with_person())
    first = erase(tmp_path, spec)
    assert erase(tmp_path, spec) == first
    with pytest.raises(AirflowFailException, match="the proof of another erasure"):
        erase(tmp_path, spec, ids=["row-1"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ids": None}, "name ids, or give a query"),
        ({"ids": [7]}, "put numbers in quotes"),
        ({"ids": ["a", ""]}, "an id is empty"),
        ({"forget": "all"}, "one of document, text"),
        ({"query": {"match_all": {}}}, "the spec's input is none"),
        ({"query": "{"}, "is no JSON"),
        ({"remove": "perhaps"}, "it is true or false"),
    ],
)
def test_an_unclear_order_removes_nothing(
    run: Run, model_id: str, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    spec = through(run, model_id, with_person(3))
    read = {**spec["input"], **settings.get("input", {})}
    with pytest.raises(AirflowFailException, match=words):
        erase(tmp_path, {**spec, "input": read}, **{name: settings[name] for name in settings if name != "input"})
    [manifest] = (tmp_path / "out").glob("*/manifest.json")
    assert len(results.open(f"file://{manifest}")) == 4


def test_the_command_plans_first(run: Run, model_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = through(run, model_id, with_person())
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(spec))
    assert main([str(path), "person", "--run", "letter-1"]) == 0
    assert "planned" in capsys.readouterr().out
    assert main([str(path), "person", "--run", "letter-1", "--remove"]) == 0
    assert "erased" in capsys.readouterr().out
    assert main([str(path), "", "--remove"]) == 1
    assert "an id is empty" in capsys.readouterr().err
    path.write_text(json.dumps({**spec, "connections": {"provider": "nobodys"}}))
    assert main([str(path), "person"]) == 1
    assert "define it in the environment (AIRFLOW_CONN_NOBODYS=…)" in capsys.readouterr().err


def test_a_report_that_is_cleared_after_an_erasure_removes_nothing(run: Run, model_id: str, tmp_path: Path) -> None:
    """The rows of the others are in a file of another name by then, which only the manifest names."""
    spec = spec_of(run, run.write(with_person()))
    shards = run.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=run.dag))
    landed = run.fetch(
        run.wait(run.submit(model_id, shards)), spec=run.xcoms["prepare", "spec"], output_uri="", final=False
    )
    report = ReportOperator(task_id="report", planned_by="prepare", landed=[landed])
    run.execute(report)
    erase(tmp_path, spec)
    with pytest.raises(AirflowFailException, match="has landed and is there no more .1 of 1 files.: an erasure wrote"):
        run.execute(report)
    [manifest] = (tmp_path / "out").glob("*/manifest.json")
    assert len(results.open(f"file://{manifest}")) == 20


def test_runs_whose_results_were_cleaned_up_have_ended(run: Run, model_id: str, server: Server, tmp_path: Path) -> None:
    """No manifest tells so any more; their shards have the row still."""
    one_folder = {"output": {"uri": f"file://{tmp_path}/out"}}
    through(Run(tmp_path, "first"), model_id, with_person(), **one_folder)
    spec = through(run, model_id, with_person(), **one_folder)
    [first] = [path for path in (tmp_path / "out").glob("manifest-*.json") if b'"first"' in path.read_bytes()]
    written_before(first, "2026-01-01T00:00:00+00:00")
    assert clean_results.main([f"file://{tmp_path}/out", "--keep-days", "0"]) == 0
    assert not first.exists()
    assert erase(tmp_path, spec)["state"] == "erased"
    assert not provider_has(server, SECRET)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == [
        "in.jsonl"
    ]


def written_before(manifest: Path, moment: str) -> None:
    manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), "written_at": moment}))


def test_a_slash_in_an_id_of_files_names_no_other_row(run: Run, model_id: str, server: Server, tmp_path: Path) -> None:
    server.fault("fail_rows", ids=["row-3"])
    rows = [*rows_of(6), {"id": "person/row-3", "text": SECRET}]
    spec = through(run, model_id, rows, limits={"max_failed_fraction": 0.9})
    assert erase(tmp_path, spec, ids=["person/row-3"])["state"] == "erased"
    [manifest] = (tmp_path / "out").glob("*/manifest.json")
    report = results.open(f"file://{manifest}").manifest.report
    assert (report.answered, report.failed, [each.id for each in report.examples]) == (5, 1, ["row-3"])


def test_the_proof_says_where_a_providers_words_about_the_row_stay(
    run: Run, model_id: str, server: Server, tmp_path: Path
) -> None:
    server.fault("fail_rows", ids=["person"], message=f"too long: {SECRET}")
    spec = through(run, model_id, with_person(), limits={"max_failed_fraction": 0.5})
    proof = erase(tmp_path, spec)
    assert SECRET in json.dumps(run.xcoms["report", "report"])
    [why] = [each["why"] for each in proof["not_removed"] if each["what"].startswith("XComs of Airflow")]
    assert "the provider's words about the first failed rows, which may quote their texts" in why
