"""Corpus, shards and results in S3, through Airflow's object storage: s3fs, and the amazon provider's connection."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as pq
import pytest
from airflow.sdk.exceptions import AirflowFailException
from s3fs import S3File

from opensearch_batch import results, storage
from opensearch_batch.errors import Refused, SpecError, Unavailable
from opensearch_batch.operators import EraseOperator, PrepareInputOperator, ReportOperator
from opensearch_batch.storage import ObjectWriter
from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.in_s3 import BASE, content, keys, put
from tests.vendors.vendors import BUCKET, aws_connection

MB = 1_000_000

pytestmark = pytest.mark.usefixtures("a_process_of_its_own")


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_a_run_from_s3_to_s3(
    s3: Any, model_id: str, run: Run, tmp_path_factory: pytest.TempPathFactory, output_format: str
) -> None:
    rows = rows_of(300)
    put(s3, "articles/a.jsonl", rows[:200])
    put(s3, "articles/b.jsonl", rows[200:])
    bundles = run.prepare(f"{BASE}/articles/*.jsonl", work_uri=f"{BASE}/work", max_requests=120)
    outcomes = run.wait(run.submit(model_id, bundles))
    landing = {"output_uri": f"{BASE}/out", "output_format": output_format, "final": True}
    assert run.fetch(outcomes, **landing)["report"]["answered"] == 300
    first = keys(s3, "out/")
    assert run.fetch(outcomes, **landing)["report"]["answered"] == 300, "cleared"
    assert keys(s3, "out/") == first

    files = [entry for entry in json.loads(content(s3, f"{BASE}/out/manifest.json"))["files"]]
    found = {entry["uri"]: content(s3, entry["uri"]) for entry in files}
    assert [entry["sha256"] for entry in files] == [hashlib.sha256(found[entry["uri"]]).hexdigest() for entry in files]
    assert sorted(keys(s3, "out/results")) == sorted(uri.removeprefix(f"{BASE}/") for uri in found)

    beside = Run(tmp_path_factory.mktemp("beside"))
    beside.through(model_id, rows)
    here = {row_id: row["embedding"] for row_id, row in beside.landed("results").items()}
    there = [row for body in found.values() for row in rows_in(body, output_format)]
    assert len(there) == 300
    assert {row["id"]: pytest.approx(row["embedding"], abs=1e-6) for row in there} == here


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=100)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.parquet", as_parquet), ("a.csv", as_csv), ("a.csv.gz", lambda rows: gzip.compress(as_csv(rows)))],
)
def test_rows_of_other_formats_come_from_s3(
    s3: Any, model_id: str, run: Run, tmp_path_factory: pytest.TempPathFactory, name: str, make: Any
) -> None:
    rows = rows_of(300)
    s3.put_object(Bucket=BUCKET, Key=f"articles/{name}", Body=make(rows))
    bundles = run.prepare(f"{BASE}/articles/*", work_uri=f"{BASE}/work", max_requests=120)
    assert run.fetch(run.wait(run.submit(model_id, bundles)), final=True)["report"]["answered"] == 300
    beside = Run(tmp_path_factory.mktemp("beside"))
    beside.through(model_id, rows)
    assert vectors(run) == vectors(beside)


def vectors(run: Run) -> dict[str, list[float]]:
    return {row_id: row["embedding"] for row_id, row in run.landed("results").items()}


def rows_in(body: bytes, output_format: str) -> list[dict[str, Any]]:
    if output_format == "parquet":
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
        return found
    return [json.loads(line) for line in body.splitlines()]


def test_an_object_of_several_parts_is_there_whole_or_not_at_all(s3: Any) -> None:
    whole, left, failed = (f"{BASE}/x/{name}.bin" for name in ("whole", "left", "failed"))
    with ObjectWriter(whole) as out:
        for number in range(40):
            out.write(bytes([number]) * MB)
        assert keys(s3) == []
        out.commit()
    assert storage.size_of(whole) == 40 * MB
    assert hashlib.sha256(content(s3, whole)).hexdigest() == out.sha256
    with ObjectWriter(left) as out:
        for number in range(40):
            out.write(bytes([number]) * MB)
    with pytest.raises(RuntimeError, match="in the middle"):
        break_off(failed)
    assert storage.names_in(f"{BASE}/x") == ["whole.bin"]
    assert (keys(s3), s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])) == (["x/whole.bin"], [])
    assert not storage.exists(left)
    storage.remove(f"{BASE}/x", recursive=True)
    assert keys(s3) == []


def test_each_byte_is_handed_on_once_however_many_lines_there_are(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "many.jsonl", rows_of(20_000))
    read, handed = S3File.read, [0]

    def counted(file: S3File, length: int = -1) -> bytes:
        found: bytes = read(file, length)
        handed[0] += len(found)
        return found

    monkeypatch.setattr(S3File, "read", counted)
    assert sum(1 for _ in storage.read_lines(f"{BASE}/many.jsonl")) == 20_000
    assert handed[0] == storage.size_of(f"{BASE}/many.jsonl")


def break_off(uri: str) -> None:
    with ObjectWriter(uri) as out:
        out.write(bytes(40 * MB))
        raise RuntimeError("in the middle")


def test_what_is_not_there(s3: Any, run: Run) -> None:
    for uri in (f"{BASE}/articles.jsonl", "s3://aws_default@another/articles.jsonl"):
        with pytest.raises(AirflowFailException, match=f"NoSuchObject: {uri}: no such object"):
            run.prepare(uri, work_uri=f"{BASE}/work")
    with pytest.raises(AirflowFailException, match="InputError: .* matches no object"):
        run.prepare(f"{BASE}/articles/*.jsonl", work_uri=f"{BASE}/work")
    with pytest.raises(
        Refused, match=r"write s3://aws_default@another/x: .*bucket does not exist.* Is the name right\?"
    ):
        storage.write_object("s3://aws_default@another/x", b"x")


def test_what_the_key_may_not_do_is_said_once_with_its_address(s3: Any, server: Server, run: Run) -> None:
    put(s3, "articles.jsonl", rows_of(3))
    server.fault("deny", method="GET", path="/articles", times=-1)
    with pytest.raises(AirflowFailException, match=f"Refused: read {BASE}/articles.jsonl: .* May the connection's key"):
        run.prepare(f"{BASE}/articles.jsonl", work_uri=f"{BASE}/work")
    server.no_more_faults()
    server.fault("deny", method="PUT", path="/work", times=-1)
    with pytest.raises(AirflowFailException, match=f"Refused: write {BASE}/work/.*: .* May the connection's key"):
        run.prepare(f"{BASE}/articles.jsonl", work_uri=f"{BASE}/work")
    assert keys(s3) == ["articles.jsonl"]


def test_a_wrong_key_is_told_as_such(s3: Any, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "articles.jsonl", rows_of(3))
    wrong = json.loads(aws_connection(server)) | {"password": "another-fake-key"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(wrong))
    with pytest.raises(AirflowFailException, match=r"Refused: .* s3://aws_default@corpus/\S+: Forbidden"):
        run.prepare(f"{BASE}/articles.jsonl", work_uri=f"{BASE}/work")


def test_a_storage_that_does_not_answer_is_tried_again_later(
    s3: Any, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = json.loads(aws_connection(server, endpoint_url="http://127.0.0.1:9/aws"))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(nowhere))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unavailable, match="EndpointConnectionError: Could not connect"):
        storage.size_of(f"{BASE}/articles.jsonl")


def test_a_connection_that_airflow_does_not_have_is_named() -> None:
    """The amazon provider would go on with the machine's own keys, in whatever account they open."""
    with pytest.raises(SpecError, match="no connection 'aws_night'.* set AIRFLOW_CONN_AWS_NIGHT"):
        storage.size_of("s3://aws_night@corpus/articles.jsonl")


def test_an_address_that_airflow_knows_nothing_of(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="SpecError: read gopher://host/x: .* Is Airflow's provider for it"):
        run.prepare("gopher://host/x")


def spec_of(uri: str, end: str = "", **sections: Any) -> dict[str, Any]:
    """`end` is that of each folder's address."""
    return {
        "name": "rows",
        "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
        "input": {"uri": uri},
        "output": {"uri": f"{BASE}/out/{{run_id}}{end}", "include": ["text"]},
        "work_uri": f"{BASE}/work{end}",
        **sections,
    }


def through(run: Run, model_id: str, spec: dict[str, Any]) -> None:
    """A whole run of a spec."""
    shards = run.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=run.dag))
    resolved = run.xcoms["prepare", "spec"]
    landed = run.fetch(run.wait(run.submit(model_id, shards)), spec=resolved, output_uri="", final=False)
    run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[landed]))


@pytest.mark.parametrize("end", ["", "/"])
def test_rows_are_erased_there(s3: Any, model_id: str, tmp_path: Path, end: str) -> None:
    put(s3, "articles/a.jsonl", rows_of(20))
    spec = spec_of(f"{BASE}/articles/*.jsonl", end)
    for name in ("one", "two"):
        through(Run(tmp_path, name), model_id, spec)
    having = [key for key in keys(s3) if b"text number 7" in content(s3, f"{BASE}/{key}")]
    assert {key.split("/")[0] for key in having} == {"articles", "out", "work"}
    erasing = EraseOperator(task_id="erase", spec=spec, ids=["row-7"], remove=True)
    told = Run(tmp_path, "erasure").execute(erasing)
    assert (told["state"], told["proof"]) == ("erased", f"{BASE}/out/erasures/erasure.json")
    assert [key for key in keys(s3) if b"text number 7" in content(s3, f"{BASE}/{key}")] == ["articles/a.jsonl"]
    found = results.open(f"{BASE}/out/two/manifest.json")
    assert (len(found), len(list(found))) == (19, 19)


@pytest.mark.parametrize("folder", ["", "data/"])
def test_a_slash_at_the_end_of_an_address_makes_no_other_folder(
    s3: Any, model_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", f"{BASE}/{folder}")
    put(s3, f"{folder}articles/2026-01-31/a.jsonl", rows_of(3))
    spec = spec_of(
        "${BATCH_TEST_ROOT}/articles/{partition}/*.jsonl",
        output={"uri": "${BATCH_TEST_ROOT}/out/{run_id}/"},
        work_uri="${BATCH_TEST_ROOT}",
        reuse={"uri": "${BATCH_TEST_ROOT}/paid-for/"},
    )
    first, second = Run(tmp_path, "one"), Run(tmp_path, "two")
    first.conf = second.conf = {"partition": "2026-01-31"}
    through(first, model_id, spec)
    assert first.xcoms["prepare", "plan"]["records"] == 3
    assert [key for key in keys(s3) if "//" in f"/{key}"] == []
    second.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=second.dag))
    plan = second.xcoms["prepare", "plan"]
    assert (plan["records"], plan["reused_rows"]) == (0, 3)


def test_brackets_of_a_folder_that_is_there_are_signs_of_its_name(s3: Any, run: Run) -> None:
    put(s3, "[prod] articles/2026-01-31.jsonl", rows_of(3))
    put(s3, "p articles/2026-01-31.jsonl", rows_of(1))
    run.conf = {"partition": "2026-01-31"}
    for name in ("{partition}.jsonl", "*.jsonl"):
        run.prepare(f"{BASE}/[prod] articles/{name}", work_uri=f"{BASE}/work")
        assert run.xcoms["prepare", "plan"]["records"] == 3


def test_a_removal_that_s3_refuses_is_an_error(s3: Any) -> None:
    put(s3, "kept/a.jsonl", rows_of(1))
    put(s3, "kept/b.jsonl", rows_of(1))
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/kept/*",
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    with pytest.raises(Refused, match="kept/a.jsonl: Forbidden. May the connection's key"):
        storage.remove(f"{BASE}/kept/a.jsonl")
    with pytest.raises(Refused, match="remove .*/kept: Forbidden. May the connection's key"):
        storage.remove(f"{BASE}/kept", recursive=True)
    with pytest.raises(Refused, match="kept/probe: Forbidden"):
        storage.try_writing(f"{BASE}/kept", "probe")
    assert keys(s3) == ["kept/a.jsonl", "kept/b.jsonl", "kept/probe"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    storage.remove(f"{BASE}/kept", recursive=True)
    assert keys(s3) == []


def test_only_what_is_named_is_removed(s3: Any) -> None:
    for key in ("run[12]/a.jsonl", "run1/a.jsonl", "run*/a.jsonl", "run[12]/b.jsonl", "run2/b.jsonl"):
        put(s3, key, rows_of(1))
    storage.remove(f"{BASE}/run[12]/a.jsonl")
    assert keys(s3) == ["run*/a.jsonl", "run1/a.jsonl", "run2/b.jsonl", "run[12]/b.jsonl"]
    storage.remove(f"{BASE}/run[12]", recursive=True)
    storage.remove(f"{BASE}/run*", recursive=True)
    assert keys(s3) == ["run1/a.jsonl", "run2/b.jsonl"]
