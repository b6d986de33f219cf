"""The page of all batches: what it reads of Airflow's database, what it adds up, and who sees what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi.testclient import TestClient
from sqlalchemy import delete

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.summary import Summary
from opensearch_batch.pages import plugin
from opensearch_batch.pages.address import path_of_run
from opensearch_batch.pages.batches import days, jobs_in_flight, past_runs, tasks_held
from opensearch_batch.pages.batches_page import batches_page
from opensearch_batch.pages.recent import RecentRuns
from opensearch_batch.pages.stored import TURN, Ended, ended_runs, held_tasks, pushed_in_live_runs
from opensearch_batch.wait.progress import Track
from tests.unit.airflow_database import NOW, Database, database
from tests.unit.served_pages import Pages, serving

SPEC = {"name": "nightly", "model": {"name": "text-embedding-3-small", "provider": "openai"}}
PLAN = {"records": 30, "estimated_tokens": 300, "estimated_usd": 0.003}
SUMMARY = {
    "provider": "openai", "model": "text-embedding-3-small", "rows": 30, "answered": 29, "failed": 1, "missing": 0,
    "repaired": 2, "reused": 4, "twins": 0, "jobs": 3, "rounds": 1, "codes": {"too_long": 1}, "tokens": 310,
    "estimated_usd": 0.003, "actual_usd": 0.0031, "manifest": "file:///out/manifest.json",
}  # fmt: skip


def job(number: int, records: int = 10) -> dict[str, Any]:
    shard = Shard(number, f"file:///work/shard-{number}.jsonl", "0", records, 100, 100)
    return Job("key", 1, f"batch-{number}", None, f"task-{number}", "model", shard).to_dict()


@pytest.fixture
def airflow() -> Iterator[Database]:
    with database() as made:
        yield made


def live_run(airflow: Database, dag_id: str = "nightly", run_id: str = "manual__1") -> None:
    """Three jobs in two bundles: one has ended, one was looked at, one is new."""
    airflow.run(dag_id, run_id)
    prepare = (dag_id, run_id, "prepare_input", -1)
    submits = [(dag_id, run_id, "shard.submit_batch", index) for index in (0, 1)]
    waits = [(dag_id, run_id, "shard.wait_for_batch", index) for index in (0, 1)]
    airflow.task(prepare, "PrepareInputOperator")
    for submit, wait in zip(submits, waits, strict=True):
        airflow.task(submit, "SubmitBatchOperator")
        airflow.task(wait, "BatchSensor", "deferred")
    airflow.push(prepare, "spec", SPEC)
    airflow.push(prepare, "plan", PLAN)
    airflow.push(submits[0], "return_value", [job(0), job(1)])
    airflow.push(submits[1], "return_value", [job(2)])
    airflow.push(waits[0], "return_value", [{"job": job(0)}])
    looked = {"seen_at": NOW.timestamp(), "progress": {"rows_per_second": 2.0, "seconds_left": 3.0}}
    airflow.push(waits[1], "waiting", looked | {"rows_done": {"batch-2": 4}})


def test_jobs_whose_end_nobody_has_seen_are_in_flight(airflow: Database) -> None:
    live_run(airflow)
    new, looked_at = jobs_in_flight(pushed_in_live_runs(airflow.session))
    assert (new.job_id, new.rows_done, new.instance) == (
        "batch-1", None, ("nightly", "manual__1", "shard.submit_batch", 0),
    )  # fmt: skip
    assert (looked_at.job_id, looked_at.rows_done, looked_at.rows) == ("batch-2", 4, 10)
    assert looked_at.instance == ("nightly", "manual__1", "shard.wait_for_batch", 1)
    assert (looked_at.rows_per_second, looked_at.seconds_left, looked_at.seen_at) == (2.0, 3.0, NOW.timestamp())
    assert (new.provider, new.model, new.tokens) == ("openai", "text-embedding-3-small", 100)
    assert new.usd == pytest.approx(0.001)


@pytest.mark.parametrize("state", ["success", "failed", "queued"])
def test_a_run_that_does_not_run_has_none(airflow: Database, state: str) -> None:
    airflow.run("nightly", "manual__1", state)
    submit = ("nightly", "manual__1", "submit_batch", -1)
    airflow.task(submit, "SubmitBatchOperator")
    airflow.push(submit, "return_value", [job(0)])
    assert jobs_in_flight(pushed_in_live_runs(airflow.session)) == []


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("PythonOperator", "summary", {"rows": 5, "source": "somebody else's"}),
        ("PythonOperator", "waiting", {"rows_done": 5}),
        ("PythonOperator", "spec", {"model": "gpt"}),
        ("PythonOperator", "plan", {"estimated_tokens": "many"}),
        ("BatchSensor", "return_value", [True]),
        ("BatchSensor", "waiting", {"rows_done": 5}),
        ("SubmitBatchOperator", "return_value", [{"id": "somebody else's"}]),
        ("SubmitBatchOperator", "return_value", "xcom-backend://bucket/key"),
    ],
)
def test_what_others_push_under_our_names_is_passed_over(
    airflow: Database, operator: str, key: str, value: Any
) -> None:
    live_run(airflow)
    another = ("nightly", "manual__1", "a_task_of_others", -1)
    airflow.task(another, operator)
    airflow.push(another, key, value)
    jobs = jobs_in_flight(pushed_in_live_runs(airflow.session))
    assert [(job.job_id, job.model) for job in jobs] == [
        ("batch-1", "text-embedding-3-small"),
        ("batch-2", "text-embedding-3-small"),
    ]
    assert past_runs(ended_runs(airflow.session, NOW - timedelta(days=30))) == []


def test_a_job_of_a_later_version_is_shown(airflow: Database) -> None:
    """In a rolling upgrade the workers may come first."""
    airflow.run("nightly", "manual__1")
    submit = ("nightly", "manual__1", "submit_batch", -1)
    airflow.task(submit, "SubmitBatchOperator")
    airflow.push(submit, "return_value", [job(0) | {"of_a_later_version": 1}])
    assert [each.job_id for each in jobs_in_flight(pushed_in_live_runs(airflow.session))] == ["batch-0"]


def test_a_job_of_another_run_costs_nothing_here(airflow: Database) -> None:
    live_run(airflow)
    submit = ("nightly", "manual__1", "submit_more", -1)
    airflow.task(submit, "SubmitBatchOperator")
    airflow.push(submit, "return_value", [job(7) | {"shared_with": "nightly/manual__0"}])
    shared = jobs_in_flight(pushed_in_live_runs(airflow.session))[-1]
    assert (shared.job_id, shared.tokens, shared.usd, shared.shared_with) == ("batch-7", 0, 0.0, "nightly/manual__0")
    assert "of nightly/manual__0" in batches_page([shared], [], [], [], date(2026, 1, 1))


def test_of_two_chains_in_a_run_no_model_and_no_price_is_told(airflow: Database) -> None:
    live_run(airflow)
    second = ("nightly", "manual__1", "another.prepare_input", -1)
    airflow.task(second, "PrepareInputOperator")
    airflow.push(second, "spec", {"model": {"name": "text-embedding-3-large"}})
    airflow.push(second, "plan", PLAN)
    assert {(each.model, each.usd) for each in jobs_in_flight(pushed_in_live_runs(airflow.session))} == {("", None)}


def test_of_two_flows_in_a_run_each_job_has_its_own_model_and_price(airflow: Database) -> None:
    """By the key of its shard's folder, wherever its tasks stand."""
    airflow.run("nightly", "manual__1")
    for key, model in {"one": "text-embedding-3-small", "two": "text-embedding-3-large"}.items():
        prepare, submit = (("nightly", "manual__1", f"{key}.{task}", -1) for task in ("prepare_input", "submit_batch"))
        airflow.task(prepare, "PrepareInputOperator")
        airflow.task(submit, "SubmitBatchOperator")
        airflow.push(prepare, "spec", {"model": {"name": model, "provider": "openai"}})
        airflow.push(prepare, "plan", PLAN | {"run_key": key, "estimated_usd": len(model) * 3.0})
        shard = Shard(0, f"file:///work/{key}/prepare_input/shard-0.jsonl", key, 10, 100, 100)
        submitted = Job(key, 1, f"batch-{key}", None, None, "model", shard).to_dict()
        airflow.push(submit, "return_value", [submitted])
    found = {each.job_id: (each.model, each.usd) for each in jobs_in_flight(pushed_in_live_runs(airflow.session))}
    assert found == {
        "batch-one": ("text-embedding-3-small", 22.0),
        "batch-two": ("text-embedding-3-large", 22.0),
    }


def test_of_a_run_wired_by_hand_little_is_known(airflow: Database) -> None:
    airflow.run("by_hand", "manual__1")
    submit = ("by_hand", "manual__1", "submit", -1)
    airflow.task(submit, "SubmitBatchOperator")
    airflow.push(submit, "return_value", [Job("key", 1, "batch-9", None, None, "model").to_dict()])
    (found,) = jobs_in_flight(pushed_in_live_runs(airflow.session))
    assert (found.job_id, found.rows, found.usd, found.model, found.shard) == ("batch-9", 0, None, "", "")


def test_a_task_that_waits_to_submit_says_for_what(airflow: Database) -> None:
    airflow.run("nightly", "manual__1")
    turn = airflow.trigger(TURN, provider="openai", max_jobs=3, max_tokens=20_000_000)
    room = airflow.trigger(TURN, provider="openai", max_jobs=3, max_tokens=None, wanted={"awaits": "room"})
    another = airflow.trigger("opensearch_batch.trigger.BatchTrigger", provider="openai")
    states: list[tuple[str, int, str, dict[str, Any]]] = [
        ("SubmitBatchOperator", 0, "deferred", {"trigger_id": turn}),
        ("SubmitBatchOperator", 1, "scheduled", {"pool": "opensearch_batch_nightly"}),
        ("SubmitBatchOperator", 2, "queued", {}),
        ("SubmitBatchOperator", 3, "up_for_retry", {}),
        ("SubmitBatchOperator", 4, "running", {}),
        ("BatchSensor", 5, "deferred", {"trigger_id": another}),
        ("BatchSensor", 6, "deferred", {"trigger_id": turn}),
        ("FetchOutputOperator", 7, "queued", {}),
        ("ApprovePlanOperator", 8, "awaiting_input", {}),
        ("ApprovePlanOperator", 9, "queued", {}),
        ("SubmitBatchOperator", 10, "deferred", {"trigger_id": room}),
    ]
    for operator, index, state, more in states:
        airflow.task(("nightly", "manual__1", "shard.task", index), operator, state, **more)
    its_turn = "its turn at openai: at most 3 jobs in flight and 20,000,000 enqueued tokens"
    assert {each.instance[3]: each.why for each in tasks_held(held_tasks(airflow.session))} == {
        0: its_turn,
        1: "a slot of the pool opensearch_batch_nightly, or of the DAG or the executor",
        2: "a worker",
        3: "its try 2",
        6: its_turn,
        8: "somebody's approval",
        10: "room at openai, tried every five minutes",
    }


def test_past_runs_are_added_up_by_dag_and_model(airflow: Database) -> None:
    summaries = {
        "1": SUMMARY,
        "2": SUMMARY | {"actual_usd": None},
        "3": SUMMARY | {"model": "text-embedding-3-large", "actual_usd": 1.5},
    }
    for day, (run_id, summary) in enumerate(summaries.items()):
        airflow.run("nightly", run_id, "success")
        report = ("nightly", run_id, "report", -1)
        airflow.task(report, "ReportOperator")
        airflow.push(report, "summary", summary, NOW - timedelta(days=day))
    dear, small = past_runs(ended_runs(airflow.session, NOW - timedelta(days=30)))
    assert (dear.model, dear.runs, dear.actual_usd, dear.unpriced) == ("text-embedding-3-large", 1, 1.5, 0)
    assert (small.runs, small.counts["rows"], small.counts["reused"], small.unpriced) == (2, 60, 8, 1)
    assert (small.actual_usd, small.estimated_usd, small.codes) == (0.0031, 0.006, {"too_long": 2})
    found = days(ended_runs(airflow.session, NOW - timedelta(days=1)))
    assert [(day.day, day.answered) for day in found] == [(date(2026, 1, 30), 29), (date(2026, 1, 31), 29)]


def test_an_empty_page_says_so() -> None:
    page = batches_page([], [], [], [], date(2026, 1, 1))
    for words in ("No job is in flight.", "No task waits.", "No run has ended."):
        assert words in page
    assert "<svg" not in page


def test_names_of_others_are_shown_as_text(airflow: Database) -> None:
    live_run(airflow, dag_id="<b>", run_id="a/b?c")
    page = batches_page(jobs_in_flight(pushed_in_live_runs(airflow.session)), [], [], [], date(2026, 1, 1))
    assert "<b>" not in page
    assert 'href="dags/%3Cb%3E/runs/a%2Fb%3Fc"' in page
    assert path_of_run("<b>", "a/b?c") == "dags/%3Cb%3E/runs/a%2Fb%3Fc"


@pytest.fixture
def pages(airflow: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    live_run(airflow, "nightly")
    live_run(airflow, "secret")
    for dag_id in ("nightly", "secret"):
        airflow.task((dag_id, "manual__1", "submit_more", -1), "SubmitBatchOperator", "queued")
        airflow.push((dag_id, "manual__1", "prepare_input", -1), "summary", SUMMARY, datetime.now(UTC))
    with serving(airflow, monkeypatch) as served:
        yield served


@pytest.mark.parametrize(
    ("readable", "seen"),
    [((), 0), (("nightly",), 1), (("nightly", "secret"), 2)],
    ids=["no DAG", "one DAG", "all DAGs"],
)
def test_a_user_sees_the_dags_that_airflow_shows_to_the_user(
    pages: Pages, readable: tuple[str, ...], seen: int
) -> None:
    pages.readable(*readable)
    text = pages.get().text
    assert f"In flight: {2 * seen} jobs" in text
    assert f"Waiting to submit: {seen} tasks" in text
    assert text.count("310") == seen
    for dag_id in ("nightly", "secret"):
        assert (dag_id in text) == (dag_id in readable)


def test_a_run_that_is_deleted_while_the_page_is_open_is_there_no_more(pages: Pages, airflow: Database) -> None:
    pages.readable("nightly")
    assert "In flight: 2 jobs" in pages.get().text
    for model in (XComModel, TaskInstance, DagRun):
        airflow.session.execute(delete(model).where(model.dag_id == "nightly"))
    text = pages.get().text
    assert "In flight: 0 jobs" in text
    assert "Waiting to submit: 0 tasks" in text


def test_the_page_is_for_nobody_who_is_not_logged_in() -> None:
    (served,) = plugin.RunPages().fastapi_apps
    with TestClient(served["app"]) as client:
        assert client.get("/").status_code == 401


def test_past_runs_are_read_once_a_minute() -> None:
    now, reads = [0.0], list[datetime]()

    def read(since: datetime) -> Iterator[Ended]:
        reads.append(since)
        yield Ended("nightly", "manual__1", NOW, msgspec.convert(SUMMARY, Summary))

    recent = RecentRuns(lambda: now[0])
    for seconds, day in ((0.0, NOW), (59.0, NOW), (60.0, NOW), (61.0, NOW + timedelta(days=1))):
        now[0] = seconds
        assert [each.run_id for each in recent.since(day, read)] == ["manual__1"]
    assert reads == [NOW, NOW, NOW + timedelta(days=1)]


def test_a_job_without_a_look_has_no_row_done_yet() -> None:
    assert Track([Job.from_dict(job(0))]).rows_done == {"batch-0": 0}
