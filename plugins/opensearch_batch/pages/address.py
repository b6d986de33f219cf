"""Addresses of pages: a run's page, made on the worker, served by the API server; Airflow's own page of a task."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from airflow.sdk import conf

PREFIX = "/opensearch-batch"


def page_of(dag_id: str, run_id: str, part: str, task_id: str = "") -> str:
    """`part` is the id of a heading. The page shows the flow that the task is of; outside of task groups there is but
    one.
    """
    task = f"?task={_quoted(task_id)}" if "." in task_id else ""
    return f"{_base()}{PREFIX}/{path_of_run(dag_id, run_id)}{task}#{part}"


def path_of_run(dag_id: str, run_id: str) -> str:
    """From the page of all batches."""
    return f"dags/{_quoted(dag_id)}/runs/{_quoted(run_id)}"


def address_of_run(dag_id: str, run_id: str) -> str:
    """In Airflow's UI."""
    return f"{_base()}/{path_of_run(dag_id, run_id)}"


def path_of_task(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"{address_of_run(dag_id, run_id)}/tasks/{_quoted(task_id)}{mapped}"


def path_of_batches() -> str:
    """With the path of Airflow's base URL, if any: the UI takes it as it is."""
    return f"{urlsplit(_base()).path}{PREFIX}/"


def _base() -> str:
    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")


def _quoted(part: str) -> str:
    return quote(part, safe="")
