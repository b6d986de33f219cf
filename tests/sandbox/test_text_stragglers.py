"""Stragglers of a model that writes: what a cancelled batch has left is asked online as the batch has asked."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import providers
from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.erase.work import look_at_work
from opensearch_batch.operators import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.sources.hashed import hash_of_model
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers import asking
from opensearch_batch.stragglers.answers import Answers
from tests.sandbox.bench import ML, Run, Server, lines_of, rows_of
from tests.sandbox.late import IDS, ROWS, Flow, figures, time_is_up

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
SCHEMA: dict[str, Any] = {
    "title": "label",
    "type": "object",
    "additionalProperties": False,
    "required": ["topic", "sure"],
    "properties": {
        "topic": {"type": "string", "enum": ["news", "sport"]},
        "sure": {"type": ["number", "null"], "default": None},
    },
}
PROMPT = 'Label what is "<quoted>" / in Köln\n\t\\ as $1.'
LABELS: dict[str, Any] = {
    "name": "gpt-4o-mini",
    "endpoint": CHAT,
    "parameters": {"max_tokens": 50, "temperature": 0},
    "system_prompt": PROMPT,
    "output_schema": SCHEMA,
}
WRITES = {**LABELS, "output_schema": None, "system_prompt": None}
AS_RESPONSES = {**LABELS, "endpoint": RESPONSES, "parameters": {"max_output_tokens": 50}}


def registered(run: Run, spec: Any) -> str:
    """Connector and model, as the DAG's own tasks make both."""
    connector_id = run.execute(CreateConnectorOperator(task_id="connector", spec=spec))
    return str(run.execute(RegisterModelOperator(task_id="model", spec=spec, connector_id=connector_id)))


def cut_off(server: Server, run: Run, rows: Any = None, **made: Any) -> Flow:
    """A run whose batch was cancelled with 4 of 10 rows answered, and whose time is up."""
    server.fault("cancel", fraction=0.4)
    flow = Flow(run, "", rows, **{"model": LABELS, **made})
    flow.model_id = registered(run, flow.spec)
    flow.round()
    time_is_up(run)
    return flow


def asked_online(server: Server, endpoint: str = CHAT) -> list[Any]:
    """What the provider was asked online, whatever it said."""
    return [call["body"] for call in server.calls if call["path"] == endpoint]


def calls_of_cluster(server: Server) -> int:
    return sum(call["path"].endswith("/_predict") for call in server.calls)


def lines_of_batch(flow: Flow) -> dict[str, Any]:
    return {line["custom_id"]: line["body"] for line in lines_of(flow.bundles[0][0]["uri"])}


def chat(content: str | None, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def fitting(**other: Any) -> str:
    return json.dumps({"topic": "news", "sure": 0.5, **other})


@pytest.mark.parametrize("model", [LABELS, WRITES, AS_RESPONSES], ids=["a schema", "bare", "responses"])
def test_open_rows_are_asked_as_their_batch_has_asked_each_once(server: Server, run: Run, model: Any) -> None:
    flow = cut_off(server, run, model=model)
    report = flow.report(flow.answer())
    assert (figures(report), len(server.ledger)) == ({"answered": ROWS}, 1)
    landed = run.landed("results")
    assert set(landed) == IDS
    batch = {row["id"] for part in flow.landed[0]["landed"] for row in lines_of(part["results"]["uri"])}
    asked, lines = asked_online(server, model["endpoint"]), lines_of_batch(flow)
    assert (len(batch), len(asked)) == (4, 6)
    assert sorted(map(orjson.dumps, asked)) == sorted(orjson.dumps(lines[row]) for row in IDS - batch)
    kinds = {type(row["output"]) for row in landed.values()}
    assert kinds == {dict if model["output_schema"] else str}


@pytest.mark.parametrize(("model", "failed"), [(LABELS, 2), (WRITES, 0)], ids=["a schema", "bare"])
def test_answers_that_a_limit_of_tokens_has_cut_in_the_batch_are_not_asked_online(
    server: Server, run: Run, model: Any, failed: int
) -> None:
    """They would be cut again. Without a schema they have landed, as results that say so."""
    server.fault("odd_objects", **{"as": "misfit", "count": 2})
    server.fault("odd_texts", **{"as": "length", "count": 2})
    flow = cut_off(server, run, model=model, max_failed_fraction=0.2)
    report = flow.report(flow.answer())
    assert len(asked_online(server)) == ROWS - 4
    assert figures(report) == {"answered": ROWS - failed} | ({"failed": failed} if failed else {})
    assert sum(row.get("truncated", False) for row in run.landed("results").values()) == 2 - failed


def test_an_answer_of_the_batch_that_fits_no_schema_is_asked_online(server: Server, run: Run) -> None:
    server.fault("odd_objects", **{"as": "misfit", "count": 2})
    flow = cut_off(server, run)
    report = flow.report(flow.answer())
    assert (len(asked_online(server)), figures(report)) == (ROWS - 4 + 2, {"answered": ROWS})


def test_the_vendors_count_is_the_price(server: Server, run: Run) -> None:
    """gpt-4o-mini costs $0.15 a million tokens in, $0.60 out; the estimate is with 50 tokens out, the most."""
    server.fault("answer", path=CHAT, status=200, body=chat(fitting()), times=-1)
    flow = cut_off(server, run)
    report = flow.report(flow.answer())
    found = report["stragglers"]
    assert (found["answered"], found["tokens"]) == (6, 6 * 15)
    assert found["usd"] == pytest.approx(6 * (10 * 0.15 + 5 * 0.6) / 1e6)
    shard = flow.bundles[0][0]
    estimated = 0.6 * shard["estimated_tokens"] * 0.15 + 6 * 50 * 0.6
    assert found["estimated_usd"] == pytest.approx(estimated / 1e6, rel=0.02), "rows are rounded up one by one"
    summary = run.xcoms["report", "summary"]
    assert summary["actual_usd"] == pytest.approx(report["actual_usd"] + found["usd"])


def test_where_the_answer_has_no_count_it_is_estimated(server: Server, run: Run) -> None:
    server.fault("answer", path=CHAT, status=200, body=chat("a" * 40) | {"usage": None}, times=-1)
    flow = cut_off(server, run, model=WRITES, straggler_usd_per_million_tokens=1)
    flow.answer()
    found = flow.stragglers
    assert (found["answered"], found["tokens"]) == (6, 6 * (4 + 10)), "'text number 4' and the answer, in bytes / 4"
    assert found["usd"] == pytest.approx(6 * 14 / 1e6)


def test_the_longest_answers_count_against_the_limit(server: Server, run: Run) -> None:
    flow = cut_off(server, run, max_straggler_usd=1e-4)
    flow.answer()
    assert flow.stragglers["why_not"].endswith("is above limits.max_straggler_usd, $0.0001: none was asked")
    assert asked_online(server) == []


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (chat(fitting(topic="weather")), "invalid_output", r"at \$.topic: 'weather' is not one of"),
        (chat('{"topic": "ne', "length"), "invalid_output", "a limit of tokens ended the text: raise it"),
        (chat(None, refusal="I cannot help with that."), "no_output", "I cannot help with that."),
    ],
    ids=["does not fit", "cut", "the model refuses"],
)
def test_an_answer_that_does_not_land_is_a_failure_and_paid_for_once(
    server: Server, run: Run, body: Any, code: str, message: str
) -> None:
    flow = cut_off(server, run)
    server.fault("answer", path=CHAT, status=200, body=body, times=1)
    answered = flow.answer()
    with pytest.raises(AirflowFailException, match=message) as caught:
        flow.report(answered)
    assert "and for none whose answer is kept" in str(caught.value)
    assert Counter(row["code"] for row in run.landed("failures").values()) == {code: 1}
    found = flow.stragglers
    assert (found["answered"], found["refused"], found["rows"]) == (5, 1, 6)
    flow.answer()
    assert len(asked_online(server)) == 6, "no second paid try"
    assert flow.stragglers["usd"] == found["usd"]


def test_the_raw_answer_is_kept_beside_the_reason(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    server.fault("answer", path=CHAT, status=200, body=chat("no JSON at all"), times=1)
    with pytest.raises(AirflowFailException, match="1 of 10 rows failed"):
        flow.report(flow.answer())
    (failed,) = run.landed("failures").values()
    assert failed["output"] == "no JSON at all"


def test_a_model_whose_first_answers_do_not_land_is_asked_no_more_until_one_does(server: Server, run: Run) -> None:
    """Not by a later try either, which has paid for three."""
    server.fault("answer", path=CHAT, status=200, body=chat("no JSON"), times=-1)
    flow = cut_off(server, run, rows_of(30))
    for paid in (3, 6):
        flow.answer()
        assert len(asked_online(server)) == paid
        assert "the first 3 rows asked have no answer that lands: invalid_output" in flow.stragglers["why_not"]
    server.no_more_faults()
    flow.answer()
    found = flow.stragglers
    assert (len(asked_online(server)), found["answered"], found["refused"]) == (18, 12, 6)


def test_an_error_of_the_provider_is_a_refusal_and_asked_again(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    server.fault("answer", path=CHAT, status=400, body={"error": {"message": "no such thing"}}, times=1)
    with pytest.raises(AirflowFailException, match="no such thing"):
        flow.report(flow.answer())
    assert {row["code"] for row in run.landed("failures").values()} == {"refused_online"}
    assert figures(flow.report(flow.answer())) == {"answered": ROWS}
    assert len(asked_online(server)) == 7


def test_a_model_that_is_too_slow_for_the_connector_is_asked_twice_and_not_for_ten_minutes(
    server: Server, run: Run
) -> None:
    """In the words of both recorded versions; the vendor has written an answer each time, and bills it."""
    why = {"type": "status_exception", "reason": "Error communicating with remote model: Read timed out"}
    body = {"error": {"root_cause": [why], **why}, "status": 500}
    flow = cut_off(server, run)
    server.fault("answer", path="/_predict", status=500, body=body, times=-1)
    flow.answer()
    assert calls_of_cluster(server) == 3 * 2
    assert "Read timed out" in flow.stragglers["why_not"]
    assert "2 times, and each answer may be billed" in flow.stragglers["why_not"]


def test_an_answer_of_no_known_shape_is_a_refusal(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    server.fault("answer", path=CHAT, status=200, body={"greeting": "hello"}, times=1)
    with pytest.raises(AirflowFailException, match="the answer cannot be read: neither data nor choices nor output"):
        flow.report(flow.answer())


def test_a_clear_of_all_pays_for_nothing_again(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    before = flow.report(flow.answer())
    again = Flow(run, flow.model_id, model=LABELS)
    again.round()
    assert again.report(again.answer())["results"] == before["results"]
    assert (len(asked_online(server)), len(server.ledger)) == (6, 1)


def test_an_erasure_finds_a_row_among_the_kept_answers(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    flow.answer()
    wanted, model = RowNames(frozenset({"row-9"})), hash_of_model(BatchSpec.check(flow.spec))
    (folder,) = look_at_work(f"file://{run.folder}/work", "by_hand", {}, wanted, providers.DEFAULT, model)
    assert sum(each.found for each in folder.files if each.uri.rpartition("/")[2].startswith("online-")) == 1
    folder.remove()
    assert not any("row-9" in each.read_text() for each in run.folder.joinpath("work").rglob("*.jsonl"))


def test_another_prompt_is_another_question(server: Server, run: Run) -> None:
    """Rows kept under the old prompt are not taken for answers to the new one."""
    flow = cut_off(server, run)
    flow.answer()
    again = Flow(run, flow.model_id, model={**LABELS, "system_prompt": "Another."})
    server.fault("cancel", fraction=0.4)
    again.round()
    report = again.report(again.answer())
    assert figures(report) == {"answered": ROWS}
    assert {body["messages"][0]["content"] for body in asked_online(server)} == {PROMPT, "Another."}


def test_a_task_killed_in_the_middle_pays_for_no_kept_row_again(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "BLOCK_ROWS", 5)
    flow = cut_off(server, run, rows_of(30))
    keep, kept = Answers.keep, list[int]()

    def killed(answers: Answers, block: Any) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(len(block))
        keep(answers, block)

    monkeypatch.setattr(Answers, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        flow.answer()
    monkeypatch.setattr(Answers, "keep", keep)
    report = flow.report(flow.answer())
    assert (len(asked_online(server)), figures(report)) == (13 + 18 - 8, {"answered": 30})


def test_parquet_has_the_columns_of_the_schema(server: Server, run: Run) -> None:
    flow = cut_off(server, run, output_format="parquet")
    flow.report(flow.answer())
    (uri,) = (entry["uri"] for entry in run.manifest["files"] if "-online-" in entry["uri"])
    rows = pyarrow.parquet.read_table(uri.removeprefix("file://")).to_pylist()
    assert len(rows) == 6
    assert {row["topic"] for row in rows} <= {"news", "sport"}
    assert {row["batch_id"] for row in rows} == {"_predict"}
    assert all(row["input_tokens"] > 0 for row in rows)


def test_a_text_with_a_placeholder_is_named_and_not_asked(server: Server, run: Run) -> None:
    rows = [
        {**row, "text": f"{row['text']} ${{parameters.model}}"} if row["id"] == "row-9" else row for row in rows_of(10)
    ]
    flow = cut_off(server, run, rows)
    with pytest.raises(AirflowFailException, match="its text has"):
        flow.report(flow.answer())
    assert (len(asked_online(server)), flow.stragglers["unaskable"]) == (5, 1)


def test_a_connector_that_takes_no_row_whole_is_not_asked_without_the_prompt(server: Server, run: Run) -> None:
    """As one that is made by hand, or by a version before."""
    flow = cut_off(server, run)
    flow.model_id = server.model(CHAT, "gpt-4o-mini", max_tokens=50)
    answered = flow.answer()
    assert (calls_of_cluster(server), answered["landed"]) == (0, [])
    assert "has no ${parameters.online_body}" in flow.stragglers["why_not"]
    assert "model.on_change: redeploy" in flow.stragglers["why_not"]


def test_where_the_connector_cannot_be_read_the_cluster_refuses_the_row(server: Server, run: Run) -> None:
    flow = cut_off(server, run)
    flow.model_id = server.model(CHAT, "gpt-4o-mini", max_tokens=50)
    server.fault("answer", method="GET", path="/connectors/", status=403, body={"error": "no"}, times=-1)
    flow.answer()
    assert (calls_of_cluster(server), asked_online(server)) == (3, [])
    assert "Invalid payload" in flow.stragglers["why_not"]


def test_a_connector_from_before_the_limit_is_named_when_the_run_begins(server: Server, run: Run) -> None:
    plain = Flow(run, "", model=LABELS, max_straggler_usd=0)
    before = registered(run, plain.spec)
    with_limit = Flow(run, "", model=LABELS)
    with pytest.raises(AirflowFailException, match=r'(?s)online_body.*on_change="redeploy"'):
        registered(run, with_limit.spec)
    redeploy = Flow(run, "", model={**LABELS, "on_change": "redeploy"})
    assert registered(run, redeploy.spec) == before
    assert registered(run, plain.spec) == before, "a spec without the limit goes on with it"


def test_a_search_asks_the_same_connector_as_before(server: Server, run: Run) -> None:
    flow = Flow(run, "", model=LABELS)
    model_id = registered(run, flow.spec)
    messages = [{"role": "user", "content": "a question"}]
    server.ask("POST", f"{ML}/models/{model_id}/_predict", {"parameters": {"messages": messages}})
    assert asked_online(server) == [{"model": "gpt-4o-mini", "messages": messages, "max_tokens": 50, "temperature": 0}]
