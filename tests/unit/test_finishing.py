"""wait.finish_by: what may be said, when that is, and which tasks a DAG has for it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.sdk import DAG, XComArg

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.prepare.prices import Price, online_tariff_of, tariff_of
from opensearch_batch.providers.openai import online
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers.asking import Pace, Stopped
from opensearch_batch.tasks.before_paying import check_stragglers
from opensearch_batch.tasks.finishing import finish_of
from opensearch_batch.wait.finishing import finish_at

BERLIN = ZoneInfo("Europe/Berlin")
SMALL = "text-embedding-3-small"
CHAT = {"name": "gpt-4o-mini", "endpoint": "/v1/chat/completions"}
BOUNDED = CHAT | {"parameters": {"max_tokens": 50}}


def spec(finish_by: Any = "06:30", model: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
    return {
        "name": "articles",
        "model": model or {"name": SMALL},
        "input": {"uri": "file:///in.jsonl"},
        "output": {"uri": "file:///out"},
        "wait": {"finish_by": finish_by},
        "limits": limits,
    }


@pytest.mark.parametrize("said", ["06:30", "00:00", "23:59", 0.5, 8, 59, "8", "0.5"])
def test_a_time_of_day_or_hours(said: Any) -> None:
    made = BatchSpec.check(spec(said)).wait.finish_by
    assert made == (said if ":" in str(said) else float(said))
    assert BatchSpec.check(BatchSpec.check(spec(said)).to_dict()).wait.finish_by == made, "as XCom hands it on"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("6:30", 'write "06:30"'),
        ("24:00", "is no time of day"),
        ("half past six", "is no time of day"),
        (0, "a number of hours above 0"),
        (-1, "a number of hours above 0"),
        (True, "neither a time of day in quotes"),
        (1110, 'did you mean "18:30"?'),
        (60, 'did you mean "01:00"?'),
        (5000, 'did you mean "06:30"?'),
        ("nan", "a number of hours above 0"),
        ("inf", 'did you mean "06:30"?'),
    ],
)
def test_what_is_neither_is_refused(said: Any, why: str) -> None:
    with pytest.raises(SpecError, match=why.replace("?", r"\?")):
        BatchSpec.check(spec(said))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"wait": {}, "limits": {"max_straggler_usd": 1}}, "say wait.finish_by too"),
        ({"limits": {"max_jobs_in_flight": 5}}, "does not end a wait for a turn"),
        ({"limits": {"max_enqueued_tokens": 5}}, "does not end a wait for a turn"),
        ({"limits": {"same_input": "share"}}, "waits for another run's"),
        ({"limits": {"max_straggler_usd": -1}}, "limits.max_straggler_usd"),
        ({"limits": {"stragglers_per_second": 0}}, "limits.stragglers_per_second"),
        ({"limits": {"max_stragler_usd": 1}}, "did you mean 'max_straggler_usd'"),
        ({"model": CHAT, "limits": {"max_straggler_usd": 1}}, "an answer has no bound of tokens"),
        (
            {"model": BOUNDED | {"system_prompt": "Say ${x}."}, "limits": {"max_straggler_usd": 1}},
            r"system_prompt or output_schema has \$\{, which the cluster",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_held_is_refused_when_the_file_is_parsed(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecError, match=why):
        BatchSpec.check(spec() | changed)


def test_texts_may_finish_by_a_time_without_being_asked_online() -> None:
    assert BatchSpec.check(spec(model=CHAT)).limits.max_straggler_usd == 0


@pytest.mark.parametrize(
    "model",
    [
        BOUNDED,
        {"name": "gpt-5-mini", "endpoint": "/v1/responses", "parameters": {"max_output_tokens": 50}},
        {**BOUNDED, "output_schema": "s3://aws@${BUCKET}/labels.json"},
    ],
    ids=["chat", "responses", "a schema by its URI"],
)
def test_models_that_write_may_be_asked_online(model: dict[str, Any]) -> None:
    assert BatchSpec.check(spec(model=model, max_straggler_usd=1)).limits.max_straggler_usd == 1


def test_a_model_that_cannot_be_asked_as_a_batch_asks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an endpoint of another package's provider may be."""
    monkeypatch.setattr(online, "WRITING", ())
    with pytest.raises(SpecError, match="gpt-4o-mini at /v1/chat/completions cannot be asked online for what a batch"):
        BatchSpec.check(spec(model=BOUNDED, max_straggler_usd=1))


@pytest.mark.parametrize(
    ("finish_by", "started", "finish"),
    [
        (8, "2026-11-28T22:00:00+00:00", "2026-11-29T06:00:00+00:00"),
        ("06:30", "2026-11-28T22:00:00+00:00", "2026-11-29T06:30:00+01:00"),
        ("06:30", "2026-11-28T05:29:59+00:00", "2026-11-28T06:30:00+01:00"),
        ("06:30", "2026-11-28T05:30:00+00:00", "2026-11-29T06:30:00+01:00"),
        ("00:15", "2026-11-28T23:10:00+00:00", "2026-11-29T00:15:00+01:00"),
        ("06:30", "2026-03-28T22:00:00+00:00", "2026-03-29T06:30:00+02:00"),
        ("02:30", "2026-03-28T22:00:00+00:00", "2026-03-29T03:30:00+02:00"),
        ("02:30", "2026-10-24T22:00:00+00:00", "2026-10-25T02:30:00+02:00"),
    ],
    ids=["hours", "the next morning", "a second before", "at the moment", "after midnight", "clocks go on in between",
         "a time that the clocks skip", "a time that comes twice"],
)  # fmt: skip
def test_the_moment_is_the_first_after_the_runs_start(finish_by: Any, started: str, finish: str) -> None:
    at = finish_at(finish_by, datetime.fromisoformat(started), BERLIN)
    assert datetime.fromtimestamp(at, UTC) == datetime.fromisoformat(finish)


def test_a_time_of_day_is_in_the_dags_time_zone() -> None:
    started = datetime.fromisoformat("2026-11-28T22:00:00+00:00")
    run = SimpleNamespace(start_date=started, run_after=started)
    for zone, finish in (("Europe/Berlin", "2026-11-29T06:30:00+01:00"), ("UTC", "2026-11-29T06:30:00+00:00")):
        dag = DAG("d", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz=zone))
        context: Any = {"dag": dag, "dag_run": run}
        at = finish_of(context, BatchSpec.check(spec()))
        assert at == datetime.fromisoformat(finish).timestamp()
        assert finish_of(context, BatchSpec.check(spec(None))) is None


def tasks(made: Any, **settings: Any) -> dict[str, Any]:
    with DAG("d", schedule=None) as dag:
        batch_inference(made if isinstance(made, str) else BatchSpec.check(made), **settings)
    return dict(dag.task_dict)


def test_only_a_spec_that_finishes_has_the_task_and_it_comes_before_the_report() -> None:
    asking = tasks(spec())
    answer = asking["answer_stragglers"]
    assert {"shard.fetch_output", "repair_1.fetch_output", "register_model"} <= answer.upstream_task_ids
    assert answer.trigger_rule == "all_done", "a repair round is skipped when the time is up"
    assert "answer_stragglers" in asking["report"].upstream_task_ids
    assert set(asking) - set(tasks(spec(None))) == {"answer_stragglers"}
    assert "answer_stragglers" not in tasks("/specs/{{ params.spec }}.yaml")
    assert "answer_stragglers" in tasks("/specs/{{ params.spec }}.yaml", stragglers=True)
    assert "answer_stragglers" in tasks(spec(None), overrides={"wait.finish_by": "{{ params.finish_by }}"})


def test_vectors_of_stragglers_are_written_back_before_the_report() -> None:
    into = {"input": {"uri": "opensearch://c/articles"}, "write_back": {"vector_field": "vector"}}
    writing = tasks(spec() | into)
    assert writing["write_stragglers"].upstream_task_ids >= {"answer_stragglers"}
    assert "write_stragglers" in writing["report"].upstream_task_ids
    chunks = {
        "input": {**into["input"], "chunks": {"size": 100}},
        "write_back": {"vector_field": "chunks.embedding"},
    }
    chunked = tasks(spec() | chunks)
    assert "write_stragglers" not in chunked
    assert "answer_stragglers" in chunked["write_chunks"].upstream_task_ids


def test_money_for_stragglers_needs_the_task_that_spends_it() -> None:
    made = BatchSpec.check(spec(max_straggler_usd=1))
    without = list(tasks(spec(None)).values())
    with pytest.raises(SpecError, match=r"give batch_inference stragglers=True.*Nothing was sent"):
        check_stragglers(made, without)
    check_stragglers(made, list(tasks(made.to_dict()).values()))
    check_stragglers(made, [])
    check_stragglers(BatchSpec.check(spec()), without)


def test_money_for_stragglers_needs_a_known_price() -> None:
    own = {"name": "my-own"}
    with pytest.raises(SpecError, match=r"no list price of my-own is known: say limits.straggler_usd_per"):
        check_stragglers(BatchSpec.check(spec(model=own, max_straggler_usd=1)), [])
    check_stragglers(BatchSpec.check(spec(model=own, max_straggler_usd=1, straggler_usd_per_million_tokens=0.1)), [])


def test_a_task_that_runs_whatever_became_of_the_input_reads_no_xcom_by_name() -> None:
    """Airflow fails a task, and tries it again, where a named XCom is not there."""
    wired = tasks(spec(max_straggler_usd=1)).values()
    always = [task for task in wired if task.trigger_rule == "all_done"]
    assert {task.task_id for task in always} == {"answer_stragglers", "report"}
    for task in always:
        arguments = [getattr(task, name) for name in task.template_fields]
        read = [key for each in arguments for _, key in XComArg.iter_xcom_references(each)]
        assert {*read} == {"return_value"}, task.task_id


def test_nobody_who_said_no_pays_for_stragglers() -> None:
    """A rejection skips what stands directly after the approval."""
    asking = tasks(spec(ask_above_usd=1))
    assert "approve" in asking["answer_stragglers"].upstream_task_ids


def test_online_a_token_costs_the_list_price_or_what_the_spec_says() -> None:
    vendor = providers.DEFAULT
    online, batch = online_tariff_of(vendor, SMALL, None), tariff_of(vendor, SMALL, None)
    assert online is not None
    assert batch is not None
    assert online.at(10).input_usd == pytest.approx(2 * batch.at(10).input_usd)
    given = online_tariff_of(vendor, "my-own", 3.0)
    assert given is not None
    assert given.at(10) == Price(3.0, 3.0)
    assert online_tariff_of(vendor, "my-own", None) is None


def test_turns_come_no_closer_than_the_rate_and_end_with_the_task() -> None:
    clock = [100.0]
    waits: list[float] = []
    pace = Pace(4, now=lambda: clock[0])
    pace.pause = waits.append  # type: ignore[method-assign, assignment]
    for _ in range(3):
        pace.turn()
    assert waits == [0.0, 0.25, 0.5]
    clock[0] = 200.0
    pace.turn()
    assert waits[-1] == 0.0
    stopped = Pace(1000)
    stopped.stop()
    with pytest.raises(Stopped):
        stopped.turn()
