"""Stragglers: what batches have left at wait.finish_by is answered one by one, each row once."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch import providers
from opensearch_batch.cluster import online
from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.erase.work import look_at_work
from opensearch_batch.errors import Unavailable
from opensearch_batch.sources.hashed import hash_of_model
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers import asking
from opensearch_batch.stragglers.answers import Answers
from tests.sandbox.bench import Run, Server, lines_of, rows_of
from tests.sandbox.late import IDS, PREDICT, ROW, ROWS, Flow, asked_online, cut_off, figures, time_is_up


@pytest.fixture
def model_id(server: Server) -> str:
    return server.model(dimensions=8)


def test_rows_open_at_finish_by_are_answered_online_each_once(server: Server, model_id: str, run: Run) -> None:
    flow = cut_off(server, run, model_id)
    with pytest.raises(AirflowSkipException, match="no further batch is sent"):
        flow.repair()
    report = flow.report(flow.answer())
    assert asked_online(server) == 6
    assert figures(report) == {"answered": ROWS}
    assert (len(server.ledger), len(report["jobs"])) == (1, 1)
    landed = run.landed("results")
    assert set(landed) == IDS
    batch = {row["id"] for part in flow.landed[0]["landed"] for row in lines_of(part["results"]["uri"])}
    online = [json.loads(line)["id"] for each in run.folder.rglob("online-*.jsonl") for line in each.open()]
    assert (len(batch), sorted(online)) == (4, sorted(IDS - batch)), "what was paid for online"
    assert {len(row["embedding"]) for row in landed.values()} == {8}
    assert run.landed("failures") == {}


def test_an_erasure_finds_a_row_among_the_kept_answers(server: Server, model_id: str, run: Run) -> None:
    flow = cut_off(server, run, model_id)
    flow.answer()
    row = "row-9"
    wanted, model = RowNames(frozenset({row})), hash_of_model(BatchSpec.check(flow.spec))
    (folder,) = look_at_work(f"file://{run.folder}/work", "by_hand", {}, wanted, providers.DEFAULT, model)
    kept = [each for each in folder.files if each.uri.rpartition("/")[2].startswith("online-")]
    assert sum(each.found for each in kept) == 1
    folder.remove()
    assert not any(row in each.read_text() for each in run.folder.joinpath("work").rglob("*.jsonl"))


def test_the_price_of_both_is_told(server: Server, model_id: str, run: Run) -> None:
    """At the list price a token of a straggler costs twice that of a batch."""
    flow = cut_off(server, run, model_id)
    answered = flow.answer()
    report = flow.report(answered)
    found = report["stragglers"]
    assert (found["rows"], found["answered"], found["refused"], found["why_not"]) == (6, 6, 0, "")
    batch = report["actual_usd"] / report["actual_tokens"]
    assert found["usd"] / found["tokens"] == pytest.approx(2 * batch)
    assert found["usd"] == found["estimated_usd"]
    summary = run.xcoms["report", "summary"]
    assert summary["actual_usd"] == pytest.approx(report["actual_usd"] + found["usd"])
    assert report["actual_tokens"] == sum(part["input_tokens"] for part in flow.landed[0]["landed"])
    assert "text number" not in json.dumps([list(run.xcoms.values())]), "no text goes through Airflow's database"


def test_above_the_limit_nothing_is_asked_and_the_rows_keep_their_reasons(
    server: Server, model_id: str, run: Run
) -> None:
    flow = cut_off(server, run, model_id, max_straggler_usd=1e-9)
    answered = flow.answer()
    assert answered["landed"] == []
    assert flow.stragglers["why_not"].endswith("is above limits.max_straggler_usd, $1e-09: none was asked")
    with pytest.raises(AirflowFailException, match="6 of 10 rows failed"):
        flow.report(answered)
    assert asked_online(server) == 0
    assert {row["code"] for row in run.landed("failures").values()} == {"batch_cancelled"}


def test_a_clear_of_all_pays_for_nothing_again(server: Server, model_id: str, run: Run) -> None:
    """Even before the next finish_by: no repair round takes rows that were asked online."""
    flow = cut_off(server, run, model_id)
    before = flow.report(flow.answer())
    run.started_at = datetime.now(UTC)
    again = Flow(run, model_id)
    again.round()
    with pytest.raises(AirflowSkipException, match="not needed"):
        again.repair()
    assert again.report(again.answer())["results"] == before["results"]
    assert (asked_online(server), len(server.ledger)) == (6, 1)


def test_a_task_killed_in_the_middle_pays_for_no_kept_row_again(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "BLOCK_ROWS", 5)
    flow = cut_off(server, run, model_id, rows_of(30))
    keep, kept = Answers.keep, list[int]()

    def killed(answers: Answers, block: Any) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(len(block))
        keep(answers, block)

    monkeypatch.setattr(Answers, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        flow.answer()
    assert kept == [3, 5]
    monkeypatch.setattr(Answers, "keep", keep)
    first = asked_online(server)
    report = flow.report(flow.answer())
    assert (first, asked_online(server)) == (13, 13 + 18 - 8), "one block is paid for twice"
    assert figures(report) == {"answered": 30}


@pytest.mark.parametrize("state", ["failed", "upstream_failed"])
def test_what_an_earlier_try_has_left_is_not_asked_where_this_one_prepared_nothing(
    server: Server, model_id: str, run: Run, state: str
) -> None:
    flow = cut_off(server, run, model_id)
    run.task_states["prepare"] = state
    with pytest.raises(AirflowSkipException, match="prepare did not succeed"):
        flow.answer()
    assert asked_online(server) == 0


def test_a_cluster_that_is_gone_ends_the_try_and_what_was_answered_is_kept(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "LONGEST_WAIT_SECONDS", 0.0)
    flow = cut_off(server, run, model_id)
    keep = Answers.keep

    def then_gone(answers: Answers, block: Any) -> None:
        keep(answers, block)
        server.fault("answer", path=PREDICT, status=503, body="gone", times=-1)

    monkeypatch.setattr(Answers, "keep", then_gone)
    with pytest.raises(Unavailable, match="gone"):
        flow.answer()
    assert asked_online(server) == 3
    server.no_more_faults()
    report = flow.report(flow.answer())
    assert (asked_online(server), figures(report)) == (6, {"answered": ROWS})


def test_rows_answered_beside_one_that_was_not_are_kept(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "LONGEST_WAIT_SECONDS", 0.0)
    flow = cut_off(server, run, model_id, rows_of(60))
    keep, blocks = Answers.keep, list[int]()

    def one_gone(answers: Answers, block: Any) -> None:
        keep(answers, block)
        blocks.append(len(block))
        if len(blocks) == 1:
            server.fault("answer", path=PREDICT, status=503, body="gone", times=1)

    monkeypatch.setattr(Answers, "keep", one_gone)
    with pytest.raises(Unavailable, match="gone"):
        flow.answer()
    assert asked_online(server) < 36
    report = flow.report(flow.answer())
    assert (asked_online(server), figures(report)) == (36, {"answered": 60})


def test_a_cluster_that_is_busy_is_asked_again(server: Server, model_id: str, run: Run) -> None:
    flow = cut_off(server, run, model_id)
    server.fault("answer", path=PREDICT, status=503, body="busy", times=1)
    report = flow.report(flow.answer())
    assert (asked_online(server), figures(report)) == (6, {"answered": ROWS})


def test_a_model_that_refuses_the_first_rows_is_asked_no_more(server: Server, model_id: str, run: Run) -> None:
    server.fault("answer", path=PREDICT, status=400, body={"error": "no"}, times=-1)
    flow = cut_off(server, run, model_id)
    answered = flow.answer()
    calls = [call for call in server.calls if call["path"].endswith(PREDICT)]
    assert (len(calls), flow.stragglers["refused"]) == (3, 3)
    with pytest.raises(AirflowFailException, match="asks again for its rows without an answer"):
        flow.report(answered)
    codes = Counter(row["code"] for row in run.landed("failures").values())
    assert codes == {"refused_online": 3, "batch_cancelled": 3}
    server.no_more_faults()
    assert figures(flow.report(flow.answer())) == {"answered": ROWS}


@pytest.mark.parametrize("number", ["NaN", 1e39])
def test_a_vector_that_would_not_land_is_refused_and_asked_again(
    server: Server, model_id: str, run: Run, number: Any
) -> None:
    vector = {"name": "sentence_embedding", "shape": [8], "data": [number, *range(7)]}
    server.fault("answer", path=PREDICT, status=200, body={"inference_results": [{"output": [vector]}]}, times=1)
    flow = cut_off(server, run, model_id)
    answered = flow.answer()
    assert (flow.stragglers["answered"], flow.stragglers["refused"]) == (5, 1)
    with pytest.raises(AirflowFailException, match="not finite in single precision"):
        flow.report(answered)
    assert figures(flow.report(flow.answer())) == {"answered": ROWS}


def test_vectors_of_another_length_are_not_paid_for_to_the_end(server: Server, run: Run) -> None:
    flow = cut_off(server, run, server.model())
    flow.answer()
    assert asked_online(server) == 3
    assert "256 numbers, 8 were asked for" in flow.stragglers["why_not"]


def test_a_text_with_a_placeholder_is_named_and_not_asked(server: Server, model_id: str, run: Run) -> None:
    rows = [{**row, "text": f"{row['text']} ${{parameters.model}}"} if row["id"] == "row-9" else row for row in ROW]
    flow = cut_off(server, run, model_id, rows)
    with pytest.raises(AirflowFailException, match="1 of 10 rows failed"):
        flow.report(flow.answer())
    (failed,) = run.landed("failures").values()
    assert (failed["id"], failed["code"]) == ("row-9", "not_askable_online")
    assert failed["message"].endswith(
        "before: batch_cancelled: This request was not executed because the batch was cancelled."
    )
    assert (asked_online(server), flow.stragglers["unaskable"]) == (5, 1)


def test_nothing_is_asked_for_nothing_where_nothing_may_be_spent(server: Server, model_id: str, run: Run) -> None:
    flow = cut_off(server, run, model_id, max_straggler_usd=0, straggler_usd_per_million_tokens=0)
    assert flow.answer()["landed"] == []
    assert (asked_online(server), flow.stragglers["why_not"]) == (0, "limits.max_straggler_usd is 0: none was asked")


def test_where_nothing_may_be_spent_a_text_with_a_placeholder_keeps_its_reason(
    server: Server, model_id: str, run: Run
) -> None:
    rows = [{**row, "text": f"{row['text']} ${{name}}"} for row in ROW]
    flow = cut_off(server, run, model_id, rows, max_straggler_usd=0)
    with pytest.raises(AirflowFailException, match="6 of 10 rows failed"):
        flow.report(flow.answer())
    assert {row["code"] for row in run.landed("failures").values()} == {"batch_cancelled"}


def test_a_limit_that_is_taken_back_gives_no_answered_row_to_a_batch(server: Server, model_id: str, run: Run) -> None:
    """The job ended without an answer, so a submission would send all of its rows again."""
    server.fault("cancel", fraction=0.0)
    flow = Flow(run, model_id)
    flow.round()
    time_is_up(run)
    before = flow.report(flow.answer())
    server.no_more_faults()
    for _ in range(2):
        again = Flow(run, model_id, max_straggler_usd=0, repair_rounds=0)
        again.round()
        assert again.report(again.answer())["results"] == before["results"]
    assert (asked_online(server), len(server.ledger)) == (ROWS, 1)


def test_a_finish_by_that_is_taken_back_gives_no_row_that_was_asked_to_a_batch(
    server: Server, model_id: str, run: Run
) -> None:
    flow = cut_off(server, run, model_id)
    flow.answer()
    again = Flow(run, model_id, finish_by=None, max_straggler_usd=0)
    again.round()
    with pytest.raises(AirflowSkipException, match="not needed"):
        again.repair()
    assert (asked_online(server), len(server.ledger)) == (6, 1)


def begun(server: Server, run: Run, model_id: str) -> Flow:
    """A run whose repair round has sent 6 of 10 rows, with nothing of them landed when its time is up."""
    server.fault("expire", fraction=0.4)
    flow = Flow(run, model_id)
    flow.round()
    run.submit(model_id, flow.repair(), task_id="submit_1", spec=flow.spec)
    time_is_up(run)
    return flow


def test_rows_of_a_round_whose_task_has_failed_since_are_not_asked(server: Server, model_id: str, run: Run) -> None:
    """Its batch of an earlier try has them, and the task no longer tells which."""
    flow = begun(server, run, model_id)
    del run.xcoms["repair", "taken"]
    run.task_states["repair"] = "failed"
    with pytest.raises(AirflowSkipException, match="batches of a repair round have the open rows: clear that round"):
        flow.answer()
    assert (asked_online(server), len(server.ledger)) == (0, 2)


def test_rows_of_a_round_that_the_dag_has_no_more_are_not_asked(server: Server, run: Run, model_id: str) -> None:
    flow = begun(server, run, model_id)
    with pytest.raises(AirflowSkipException, match="batches of a repair round have the open rows"):
        flow.answer(repaired_by=())
    assert (asked_online(server), len(server.ledger)) == (0, 2)


def test_a_round_that_began_keeps_its_rows_where_the_spec_asks_for_fewer_rounds_since(
    server: Server, model_id: str, run: Run
) -> None:
    begun(server, run, model_id)
    fewer = Flow(run, model_id, repair_rounds=0)
    fewer.round()
    del run.xcoms["repair", "taken"]
    fewer.round(1, fewer.repair())
    with pytest.raises(AirflowSkipException, match="not needed"):
        fewer.answer()
    assert (asked_online(server), len(server.ledger)) == (0, 2)


def test_a_finish_by_that_comes_after_a_round_gives_none_of_its_rows_to_the_model(
    server: Server, model_id: str, run: Run
) -> None:
    """The round goes on with its own jobs, and no row is paid for twice."""
    server.fault("expire", fraction=0.4)
    flow = Flow(run, model_id, finish_by=None, max_straggler_usd=0)
    flow.round()
    run.submit(model_id, flow.repair(), task_id="submit_1", spec=flow.spec)
    time_is_up(run)
    again = Flow(run, model_id)
    again.round()
    del run.xcoms["repair", "taken"]
    with pytest.raises(AirflowSkipException, match="batches of a repair round have the open rows"):
        again.answer()
    again.round(1, again.repair())
    with pytest.raises(AirflowSkipException, match="not needed"):
        again.answer()
    assert (asked_online(server), len(server.ledger)) == (0, 2)


def test_without_a_model_nothing_is_asked(server: Server, model_id: str, run: Run) -> None:
    """What an earlier try has landed is still there when this try comes to no model."""
    flow = cut_off(server, run, model_id)
    flow.model_id = None
    with pytest.raises(AirflowSkipException, match="there is no model to ask"):
        flow.answer()


def test_rows_of_requests_with_many_texts_and_their_twins_are_answered_one_by_one(
    server: Server, model_id: str, run: Run
) -> None:
    flow = cut_off(server, run, model_id, texts_per_request=3)
    report = flow.report(flow.answer())
    assert (figures(report), asked_online(server)) == ({"answered": ROWS}, 7)


def test_rows_that_the_last_round_has_left_are_answered_too(server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.4)
    flow = Flow(run, model_id)
    flow.round()
    server.fault("expire", fraction=0.5)
    flow.round(1, flow.repair())
    report = flow.report(flow.answer())
    assert figures(report) == {"answered": ROWS, "repaired": 3}
    assert (asked_online(server), len(server.ledger)) == (3, 2)
