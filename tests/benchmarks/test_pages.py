"""The rows of the pages' benchmark are what the pages read, and the table says how long they took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from benchmarks.page_rows import made
from benchmarks.pages import table
from opensearch_batch.pages.batches import jobs_in_flight, past_runs
from opensearch_batch.pages.shards import counted, shards_seen
from opensearch_batch.pages.stored import ended_runs, pushed_in_live_runs, pushed_in_run
from tests.unit.airflow_database import Database, database


def stored(airflow: Database, jobs: int, past: int, shards: int) -> tuple[str, str]:
    from airflow.models.taskinstance import TaskInstance

    rows, many = made(jobs, past, shards)
    for run in rows.runs:
        airflow.run(run["dag_id"], run["run_id"], run["state"])
    airflow.session.execute(insert(TaskInstance), rows.tasks)
    for xcom in rows.xcoms:
        here = (xcom["dag_id"], xcom["run_id"], xcom["task_id"], xcom["map_index"])
        airflow.push(here, xcom["key"], xcom["value"], xcom["timestamp"])
    return many.dag_id, many.run_id


def test_the_rows_are_jobs_in_flight_past_runs_and_a_run_of_many_shards() -> None:
    with database() as airflow:
        many = stored(airflow, jobs=20, past=40, shards=7)
        flying = jobs_in_flight(pushed_in_live_runs(airflow.session))
        assert [job.rows_done for job in flying] == [7] * 20
        past = past_runs(ended_runs(airflow.session, datetime.now(UTC) - timedelta(days=31)))
        assert (len(past), sum(each.runs for each in past)) == (21, 41)
        shards = shards_seen(pushed_in_run(airflow.session, *many))
        assert len(shards) == len({seen.link for seen in shards}) == 7
        assert counted(shards)["answered"] == 7 * 1999


def test_the_table_has_median_and_most() -> None:
    assert "| a page | 3 | 20 | 90 |" in table({"a page": [0.01, 0.02, 0.09]})
