"""Many texts a request: over the real clients, from rows to rows."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.sandbox.bench import Run, Server, rows_of


def prepared(run: Run, rows: int = 25, **settings: Any) -> Any:
    return run.prepare(rows_of(rows), **{"texts_per_request": 4, **settings})


def lines_in(uri: str) -> list[Any]:
    return [json.loads(line) for line in Path(uri.removeprefix("file://")).read_bytes().splitlines()]


def embeddings(run: Run) -> dict[str, list[float]]:
    return {row_id: row["embedding"] for row_id, row in run.landed("results").items()}


def single_precision(run: Run) -> dict[str, bytes]:
    return {row_id: array("f", values).tobytes() for row_id, values in embeddings(run).items()}


def test_requests_have_lists_of_texts_and_their_ids_lie_beside_the_shard(run: Run) -> None:
    ((shard,),) = prepared(run)
    requests, ids = lines_in(shard["uri"]), lines_in(shard["ids_uri"])
    assert [len(request["body"]["input"]) for request in requests] == [4, 4, 4, 4, 4, 4, 1]
    assert [row for group in ids for row in group] == [f"row-{n}" for n in range(25)]
    assert requests[1]["body"]["input"] == [f"text number {n}" for n in range(4, 8)]
    assert len({request["custom_id"] for request in requests}) == 7
    assert shard["records"] == run.xcoms["prepare", "plan"]["records"] == 25


def test_the_vectors_are_those_of_one_text_a_request(server: Server, model_id: str, run: Run) -> None:
    rows = rows_of(25)
    run.through(model_id, rows)
    alone = embeddings(run)
    report = run.fetch(run.wait(run.submit(model_id, prepared(run))))["report"]
    assert (report["records"], report["answered"], report["missing"]) == (25, 25, 0)
    assert embeddings(run) == alone
    assert sorted(job["requests"] for job in server.ledger) == [7, 25]
    assert report["actual_tokens"] > 25


def test_packed_vectors_are_the_same_to_the_last_bit(model_id: str, run: Run) -> None:
    packed = {"dimensions": 8, "encoding_format": "base64"}
    run.fetch(run.wait(run.submit(model_id, prepared(run))))
    plain = single_precision(run)
    for texts_per_request in (4, 1):
        bundles = prepared(run, texts_per_request=texts_per_request, model_parameters=packed)
        run.fetch(run.wait(run.submit(model_id, bundles)))
        assert single_precision(run) == plain


@pytest.mark.parametrize(
    ("settings", "records"),
    [
        ({"max_inputs": 10}, [8, 8, 9]),
        ({"max_inputs": 3}, [3] * 8 + [1]),
        ({"max_requests": 2}, [8, 8, 8, 1]),
        ({"max_tokens": 30}, [8, 8, 8, 1]),
        ({"texts_per_request": 2048}, [25]),
    ],
)
def test_shards_are_cut_by_inputs_requests_and_tokens(
    server: Server, model_id: str, run: Run, settings: dict[str, int], records: list[int]
) -> None:
    bundles = prepared(run, **settings)
    assert [shard["records"] for bundle in bundles for shard in bundle] == records
    assert run.fetch(run.wait(run.submit(model_id, bundles)))["report"]["answered"] == 25


def test_a_lost_request_is_a_hole_of_its_rows(server: Server, model_id: str, run: Run) -> None:
    server.fault("lose_row")
    with pytest.raises(AirflowFailException, match=r"4 missing \(row-"):
        run.fetch(run.wait(run.submit(model_id, prepared(run, rows=24))))
    assert len(run.landed("results")) == 20
    assert {row["code"] for row in run.landed("failures").values()} == {"missing"}


def test_one_text_that_is_refused_fails_its_request_and_no_other(server: Server, model_id: str, run: Run) -> None:
    rows = rows_of(12)
    rows[5]["text"] = "word " * 9000
    outcomes = run.wait(run.submit(model_id, run.prepare(rows, texts_per_request=4, max_text_tokens=10_000)))
    report = run.fetch(outcomes, max_failed_fraction=0.5)["report"]
    assert (report["answered"], report["failed"]) == (8, 4)
    assert set(run.landed("failures")) == {"row-4", "row-5", "row-6", "row-7"}


def test_an_expired_batch_keeps_what_was_answered(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.5)
    outcomes = run.wait(run.submit(model_id, prepared(run, rows=24)))
    report = run.fetch(outcomes, max_failed_fraction=1.0)["report"]
    assert (report["answered"], report["codes"]) == (12, {"batch_expired": 12})


def test_the_output_of_another_shard_is_foreign_row_by_row(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, prepared(run, rows=16, max_inputs=8)))
    outcomes[0]["outputs"] = outcomes[1]["outputs"]
    with pytest.raises(AirflowFailException, match=r"8 missing \(row-0, row-1"):
        run.fetch(outcomes)
    assert run.manifest["report"]["foreign"] == 2
    assert set(run.landed("results")) == {f"row-{n}" for n in range(8, 16)}


def test_submitting_again_is_the_same_job_and_other_ids_are_another(server: Server, model_id: str, run: Run) -> None:
    jobs = run.submit(model_id, prepared(run))
    assert run.submit(model_id, prepared(run)) == jobs
    renamed = [{**row, "id": f"new-{row['id']}"} for row in rows_of(25)]
    assert run.submit(model_id, run.prepare(renamed, texts_per_request=4)) != jobs
    assert len(server.ledger) == 2


def test_preparing_again_one_text_a_request_leaves_no_ids_file(run: Run) -> None:
    prepared(run)
    prepared(run, texts_per_request=1)
    assert [path.name for path in run.folder.glob("work/**/*.jsonl")] == ["shard-00000.jsonl"]
