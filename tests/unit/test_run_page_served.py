"""The page of a run as Airflow serves it: who may see it, what it reads of the database, and what is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import delete, update

from opensearch_batch.pages.markup import HEADERS
from opensearch_batch.pages.stored import pushed_in_run
from tests.unit.airflow_database import Database, database
from tests.unit.served_pages import Pages, serving, table_of, values_of

STORED = json.loads((Path(__file__).parent / "stored" / "run.json").read_text(encoding="utf-8"))
FIRST = STORED["jobs"][0]["provider_job_id"]
TASKS = {
    "prepare_input": "PrepareInputOperator",
    "shard.submit_batch": "SubmitBatchOperator",
    "shard.wait_for_batch": "BatchSensor",
    "shard.fetch_output": "FetchOutputOperator",
    "prepare_repair_1": "PrepareRepairOperator",
    "repair_1.submit_batch": "SubmitBatchOperator",
    "repair_1.fetch_output": "FetchOutputOperator",
    "report": "ReportOperator",
}
PUSHED: dict[tuple[str, str], Any] = {
    ("prepare_input", "plan"): STORED["plan"],
    ("prepare_input", "spec"): STORED["manifest"]["spec"],
    ("prepare_input", "return_value"): STORED["bundles"],
    ("shard.submit_batch", "return_value"): STORED["jobs"],
    ("shard.submit_batch", "_link_ProviderLink"): f"https://vendor.example/{FIRST}",
    ("shard.wait_for_batch", "return_value"): STORED["outcomes"],
    ("shard.fetch_output", "return_value"): STORED["fetched"],
    ("prepare_repair_1", "return_value"): STORED["repair_bundles"],
    ("repair_1.submit_batch", "return_value"): STORED["repair_jobs"],
    ("repair_1.fetch_output", "return_value"): STORED["repair_fetched"],
    ("report", "report"): STORED["report"],
}


@pytest.fixture
def airflow() -> Iterator[Database]:
    with database() as made:
        for dag_id in ("nightly", "secret"):
            made.run(dag_id, "manual__1", "success")
            for task_id, operator in TASKS.items():
                made.task((dag_id, "manual__1", task_id, -1), operator)
            for (task_id, key), value in PUSHED.items():
                made.push((dag_id, "manual__1", task_id, -1), key, value)
        yield made


@pytest.fixture
def pages(airflow: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    with serving(airflow, monkeypatch) as served:
        served.readable("nightly")
        yield served


def shards(pages: Pages) -> list[dict[str, str]]:
    return table_of(pages.run("nightly", "manual__1").text, "shard", "state", "job")


def test_a_viewer_of_one_dag_sees_its_runs_and_no_others(pages: Pages) -> None:
    assert pages.run("nightly", "manual__1").status_code == 200
    refused = pages.run("secret", "manual__1")
    assert refused.status_code == 403
    assert FIRST not in refused.text
    assert pages.run("secret", "no_such_run").status_code == 403, "nor whether there is such a run"


def test_who_may_read_no_dag_sees_no_run(pages: Pages) -> None:
    pages.readable()
    assert pages.run("nightly", "manual__1").status_code == 403


def test_the_figures_are_those_of_the_manifest(pages: Pages) -> None:
    page, report = pages.run("nightly", "manual__1").text, STORED["manifest"]["report"]
    values = values_of(page)
    names = ("records", "answered", "repaired")
    assert {name: values[name] for name in names} == {name: str(report[name]) for name in names}
    assert values["manifest"] == report["manifest"]
    assert [line["job"] for line in shards(pages)] == [job["provider_job_id"] for job in report["jobs"]]
    assert [line["shard"] for line in shards(pages)] == ["shard 0", "shard 1", "shard 0 of repair 1"]
    assert sum(int(line["answered"]) for line in shards(pages)) == report["answered"]
    assert f'href="https://vendor.example/{FIRST}"' in page
    assert f'href="https://vendor.example/{STORED["jobs"][1]["provider_job_id"]}"' in page


def test_of_two_flows_each_has_a_page_with_its_own_plan_and_report(pages: Pages, airflow: Database) -> None:
    """The second has no report yet."""
    airflow.run("nightly", "two", "running")
    for group in ("bodies", "titles"):
        for task_id, operator in TASKS.items():
            airflow.task(("nightly", "two", f"{group}.{task_id}", -1), operator)
    for (task_id, key), value in PUSHED.items():
        airflow.push(("nightly", "two", f"bodies.{task_id}", -1), key, value)
    airflow.push(("nightly", "two", "titles.prepare_input", -1), "plan", STORED["plan"] | {"records": 7})
    airflow.task(("nightly", "two", "etl.plan", -1), "PythonOperator")
    airflow.push(("nightly", "two", "etl.plan", -1), "plan", {"tables": 3})

    first = pages.run("nightly", "two").text
    assert values_of(first)["manifest"] == STORED["manifest"]["report"]["manifest"]
    assert '<p id="flows">Flows of this run: <b>bodies</b>, <a href="?task=titles.">titles</a></p>' in first
    for task in ("titles.", "titles.shard.submit_batch"):
        second = pages.get(f"/dags/nightly/runs/two?task={task}").text
        assert "manifest" not in values_of(second)
        assert table_of(second, "", "planned", "came")[0]["planned"] == "7"
        assert '<a href="?task=bodies.">bodies</a>, <b>titles</b>' in second
    assert "Flows of this run" not in pages.run("nightly", "manual__1").text


def test_the_browser_may_run_nothing_but_the_pages_own(pages: Pages) -> None:
    for answered in (pages.get(), pages.run("nightly", "manual__1"), pages.run("nightly", "gone")):
        assert answered.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_a_run_that_was_deleted_while_its_page_was_open_is_said_to_be_gone(pages: Pages, airflow: Database) -> None:
    assert "Airflow has no such run" not in pages.run("nightly", "manual__1").text
    for model in (XComModel, TaskInstance, DagRun):
        airflow.session.execute(delete(model).where(model.dag_id == "nightly"))
    gone = pages.run("nightly", "manual__1")
    assert gone.status_code == 404
    assert "Airflow has no such run: it was deleted, or never was." in gone.text


def test_a_run_of_which_only_the_row_is_left_has_an_empty_page(pages: Pages, airflow: Database) -> None:
    """Deleted between the reads of a page: what the tasks pushed goes first."""
    airflow.session.execute(delete(XComModel))
    emptied = pages.run("nightly", "manual__1")
    assert emptied.status_code == 200
    assert "No job is submitted yet." in emptied.text


@pytest.mark.parametrize(
    "value", [{"version": 2}, {**STORED["report"], "records": "12"}, [STORED["report"]], "{", None]
)
def test_a_report_that_cannot_be_read_costs_its_part_of_the_page_alone(
    pages: Pages, airflow: Database, value: Any
) -> None:
    airflow.session.execute(update(XComModel).where(XComModel.key == "report").values(value=value))
    answered = pages.run("nightly", "manual__1")
    assert answered.status_code == 200
    assert "The run is not summed up yet." in answered.text
    assert sum(int(line["answered"]) for line in shards(pages)) == STORED["report"]["answered"]


def test_a_report_of_a_later_version_is_shown(pages: Pages, airflow: Database) -> None:
    later = STORED["report"] | {"of_a_later_version": {"x": 1}}
    airflow.session.execute(update(XComModel).where(XComModel.key == "report").values(value=later))
    assert values_of(pages.run("nightly", "manual__1").text)["answered"] == str(STORED["report"]["answered"])


@pytest.mark.parametrize("state", [None, "removed"])
def test_what_cleared_tasks_pushed_is_no_more_the_runs(pages: Pages, airflow: Database, state: str | None) -> None:
    again = update(TaskInstance).where(
        TaskInstance.task_id.in_(("report", "shard.fetch_output", "repair_1.fetch_output"))
    )
    airflow.session.execute(again.values(state=state))
    text = pages.run("nightly", "manual__1").text
    assert "The run is not summed up yet." in text
    assert [line["answered"] for line in shards(pages)] == ["", "", ""]


def test_what_somebody_elses_task_pushed_under_our_names_is_none_of_ours(airflow: Database) -> None:
    airflow.task(("nightly", "manual__1", "of_others", -1), "PythonOperator")
    for key, value in (("_link_ProviderLink", "https://elsewhere.example/"), ("waiting", {}), ("return_value", [])):
        airflow.push(("nightly", "manual__1", "of_others", -1), key, value)
    found = list(pushed_in_run(airflow.session, "nightly", "manual__1"))
    assert len(found) == len(PUSHED)
    assert "of_others" not in {each.task_id for each in found}
