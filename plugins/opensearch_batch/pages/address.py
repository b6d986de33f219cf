"""The address of a run's page: made on the worker, served by the API server."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import conf

PREFIX = "/opensearch-batch"


def page_of(dag_id: str, run_id: str, part: str) -> str:
    """`part` is the id of a heading."""
    base_url = conf.get("api", "base_url", fallback="") or ""
    return f"{base_url.rstrip('/')}{PREFIX}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}#{part}"
