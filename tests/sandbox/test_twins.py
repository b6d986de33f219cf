"""A text that stands in several rows of a run is sent once where `reuse` is set; all its rows come to the same end."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.operators import ReportOperator
from sandbox import embedding
from tests.sandbox.bench import Run, Server, lines_of
from tests.sandbox.test_repair import Rounds, sent, sent_texts

TEXTS = 4
ROWS = [{"id": f"row-{n}", "text": f"text number {n % TEXTS}", "title": f"Title {n}"} for n in range(12)]
IDS = {row["id"] for row in ROWS}
FIRSTS = [f"row-{n}" for n in range(TEXTS)]


def reuse(run: Run, **more: Any) -> dict[str, Any]:
    return {"overrides": {"reuse.uri": f"file://{run.folder}/paid-for", "output.include": ["title"], **more}}


def twins_of(*numbers: int) -> set[str]:
    """Ids of all rows with these texts."""
    return {f"row-{n}" for n in range(12) if n % TEXTS in numbers}


@pytest.mark.parametrize("texts_per_request", [1, 3])
@pytest.mark.parametrize("shard", [{}, {"max_inputs": 3}])
def test_a_text_is_sent_once_and_answers_each_of_its_rows(
    server: Server, model_id: str, run: Run, texts_per_request: int, shard: dict[str, int]
) -> None:
    rounds = Rounds(run, model_id, rows=ROWS, texts_per_request=texts_per_request, **shard, **reuse(run))
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["twins"]) == (4, 8)
    assert plan["estimated_tokens"] == sum(shard["estimated_tokens"] for bundle in rounds.bundles for shard in bundle)
    rounds.shards()
    report = rounds.report()
    assert (report["records"], report["answered"], report["twins"]) == (12, 12, 8)
    assert sum(job["requests"] for job in server.ledger) == (4 if texts_per_request == 1 else 2)
    assert report["input_tokens"] == sum(map(len, embedding.tokenize([row["text"] for row in ROWS[:TEXTS]])))
    found = run.landed("results")
    assert {row_id: row["title"] for row_id, row in found.items()} == {str(row["id"]): row["title"] for row in ROWS}
    for row in ROWS:
        assert found[row["id"]]["embedding"] == found[f"row-{int(row['title'][6:]) % TEXTS}"]["embedding"]
    assert len({str(row["embedding"]) for row in found.values()}) == TEXTS


def test_without_reuse_each_row_is_sent(server: Server, model_id: str, run: Run) -> None:
    run.through(model_id, ROWS)
    assert [job["requests"] for job in server.ledger] == [12]


@pytest.mark.parametrize("texts_per_request", [1, 3])
def test_the_repair_sends_the_one_again_and_all_its_rows_land(
    server: Server, model_id: str, run: Run, texts_per_request: int
) -> None:
    server.fault("expire", fraction=0.5)
    rounds = Rounds(run, model_id, rows=ROWS, texts_per_request=texts_per_request, **reuse(run))
    rounds.shards()
    answered = {row["id"] for path in run.out.glob("results-*") for row in lines_of(f"file://{path}")}
    assert 0 < len(answered) < 12
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["failed"], report["missing"]) == (12, 0, 0)
    assert report["repaired"] == 12 - len(answered) == sum(report["passing"].values())
    assert set(run.landed("results")) == IDS
    if texts_per_request == 1:
        assert sent(server)[1] == [row_id for row_id in FIRSTS if row_id not in answered]
    else:
        assert sum(len(texts) for texts in sent_texts(server)[1]) == (12 - len(answered)) // 3


def test_all_rows_of_a_text_fail_with_its_reason(server: Server, model_id: str, run: Run) -> None:
    server.fault("fail_rows", ids=["row-1"], code="context_length_exceeded", message="Too long.")
    rounds = Rounds(run, model_id, rows=ROWS, **reuse(run))
    rounds.shards()
    with pytest.raises(AirflowFailException, match="3 of 12 rows failed"):
        rounds.report()
    failures = run.landed("failures")
    assert set(failures) == twins_of(1)
    assert {(row["code"], row["message"]) for row in failures.values()} == {("context_length_exceeded", "Too long.")}
    assert set(run.landed("results")) == IDS - twins_of(1)


@pytest.mark.parametrize("prepared", [False, True])
def test_a_round_that_never_landed_leaves_all_rows_their_reason(
    server: Server, model_id: str, run: Run, prepared: bool
) -> None:
    server.fault("fail_rows", ids=["row-1", "row-2"], code="server_error", message="Oh.", status_code=500)
    rounds = Rounds(run, model_id, rows=ROWS, **reuse(run))
    rounds.shards()
    if prepared:
        rounds.prepare_repair()
    with pytest.raises(AirflowFailException, match="6 of 12 rows failed"):
        rounds.report()
    assert set(run.landed("failures")) == twins_of(1, 2)
    assert {row["code"] for row in run.landed("failures").values()} == {"server_error"}


def test_a_missing_line_leaves_all_rows_of_its_text_missing(server: Server, model_id: str, run: Run) -> None:
    server.fault("lose_row", count=1)
    rounds = Rounds(run, model_id, last=0, rows=ROWS, **reuse(run))
    rounds.shards()
    with pytest.raises(AirflowFailException, match="3 missing"):
        rounds.report()


def test_fetching_again_writes_the_same_files(model_id: str, run: Run) -> None:
    rounds = Rounds(run, model_id, rows=ROWS, **reuse(run))
    first, again = rounds.shards(), rounds.shards()
    assert first == again
    assert first[0]["landed"][0]["records"] == 12


def test_the_rows_of_a_text_too_large_for_a_shard_are_all_named(run: Run) -> None:
    long = [{"id": f"long-{n}", "text": "word " * 400, "title": ""} for n in range(3)]
    run.prepare(
        [*ROWS, *long], max_bytes=1500, **reuse(run, **{"input.bad_rows": "skip", "input.max_bad_fraction": 1.0})
    )
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["twins"], plan["bad_rows"]) == (4, 8, 3)
    bad = {row["id"]: row["message"] for row in lines_of(plan["bad_rows_uri"])}
    assert set(bad) == {"long-0", "long-1", "long-2"}
    assert "its text is that of 'long-0'" in bad["long-2"]


def test_the_next_run_finds_the_vector_for_each_row(server: Server, model_id: str, run: Run) -> None:
    first = Rounds(run, model_id, rows=ROWS, **reuse(run))
    first.shards()
    first.report()
    run = Run(run.folder, "the next night")
    run.out = run.folder / "second"
    again = Rounds(run, model_id, rows=[*ROWS, {"id": "new", "text": "new", "title": ""}], **reuse(run))
    plan = run.xcoms["prepare", "plan"]
    assert (plan["records"], plan["reused_rows"], "twins" in plan) == (1, 12, False)
    again.shards()
    assert again.report()["answered"] == 13
    assert [job["requests"] for job in server.ledger] == [4, 1]


def test_reuse_is_refused_where_a_model_answers_with_text(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="reuse copies vectors, and /v1/chat/completions answers with text"):
        run.prepare(ROWS, endpoint="/v1/chat/completions", model="gpt-4o-mini", model_parameters={}, **reuse(run))


def test_a_run_that_is_prepared_again_makes_the_same_shards(server: Server, model_id: str, run: Run) -> None:
    """Its own vectors are in the record by then; other shards would be other jobs, and paid twice."""
    settings = {"output_uri": f"file://{run.out}", "max_requests": 2, **reuse(run)}
    shards = run.prepare(ROWS, **settings)
    outcomes = [run.wait(run.submit(model_id, each)) for each in shards]
    fetched = [
        run.fetch(each, task_id=f"fetch_{number}", final=False, dag=run.dag) for number, each in enumerate(outcomes)
    ]
    run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[fetched]))
    again = run.prepare(ROWS, **settings)
    assert run.xcoms["prepare", "plan"].get("reused_rows", 0) == 0
    assert again == shards
    run.submit(model_id, again[0])
    assert len(server.ledger) == 2
