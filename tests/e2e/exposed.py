"""All that an Airflow has stored and shows of a run, byte by byte: files, tables, answers and pages."""

from __future__ import annotations

import importlib.resources
import io
import re
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.run import DagRun
    from stack.stack import Stack

Place = tuple[str, bytes]
"""Name and content."""

DESCRIPTIONS = ("v2-rest-api-generated.yaml", "_private_ui.yaml")
"""Airflow's own, of the REST API and of what its pages fetch."""

ALWAYS = {"full_content": True, "interval": 1, "start_date": "2026-01-01T00:00:00Z", "limit": 100}
"""Values of parameters."""


def files(stack: Stack) -> Iterator[Place]:
    """Every file of the home: logs of tasks and processes, inputs, results, manifests, PostgreSQL's own files with the
    rows of before. Left out is the sandbox's folder alone: the sandbox is vendor and cluster, who have the keys.
    """
    for path in sorted(stack.home.path.rglob("*")):
        if path.is_file() and stack.home.sandbox not in path.parents:
            with suppress(FileNotFoundError):  # PostgreSQL and Airflow go on working
                yield str(path.relative_to(stack.home.path)), path.read_bytes()


def tables(stack: Stack) -> Iterator[Place]:
    """Every table, uncompressed. Connections' passwords are encrypted there, so no table needs to be left out."""
    engine = sqlalchemy.create_engine(stack.database_url)
    names = sqlalchemy.inspect(engine).get_table_names()
    connection = engine.raw_connection()
    try:
        for name in names:
            content = io.BytesIO()
            connection.cursor().copy_expert(f'COPY "{name}" TO STDOUT (FORMAT binary)', content)
            yield f"table {name}", content.getvalue()
    finally:
        connection.close()
        engine.dispose()


def answers(stack: Stack, run: DagRun, connections: list[str]) -> Iterator[Place]:
    """Every GET of the REST API, and of what the UI's pages fetch, that the run's names fill in; refusals too."""
    for own, context in _contexts(run, connections):
        for path, names, parameters in _gets():
            if names <= context.keys() and (names & own or not own):
                query = {name: value for name, value in (ALWAYS | context).items() if name in parameters}
                url = str(httpx.URL(path.format_map(context), params=query))
                yield url, stack.ask(url).content


def pages(stack: Stack, run: DagRun) -> Iterator[Place]:
    """The run's own page, and the page of Airflow's that fetches the answers above."""
    for url in (f"{stack.url}/opensearch-batch{run.path.replace('dagRuns', 'runs')}", run.url):
        yield url, stack.page(url).encode()


@cache
def _gets() -> list[tuple[str, set[str], set[str]]]:
    """Path, the names in it, and those of the query's parameters."""
    found = []
    for name in DESCRIPTIONS:
        text = importlib.resources.files("airflow.api_fastapi.core_api.openapi").joinpath(name).read_text()
        for path, methods in yaml.load(text, yaml.CSafeLoader)["paths"].items():
            if "get" in methods and "/auth/" not in path:
                parameters = methods["get"].get("parameters", [])
                in_query = {each["name"] for each in parameters if each["in"] == "query"}
                found.append((path, set(re.findall(r"{(\w+)}", path)), in_query))
    return found


def _contexts(run: DagRun, connections: list[str]) -> Iterator[tuple[set[str], dict[str, Any]]]:
    """The names that are new in it, and the values of all."""
    of_run = {"dag_id": run.dag_id, "dag_run_id": run.run_id, "run_id": run.run_id, "run_ids": run.run_id}
    yield set(), of_run
    for connection in connections:
        yield {"connection_id"}, {"connection_id": connection}
    for task in (each for each in run.tasks() if each["try_number"]):
        of_task = of_run | {name: task[name] for name in ("task_id", "map_index")}
        yield {"task_id"}, of_task
        for number in range(1, task["try_number"] + 1):
            tries = {"try_number": number, "task_try_number": number}
            yield set(tries), of_task | tries
        for key in run.xcom_keys(task):
            yield {"xcom_key"}, of_task | {"xcom_key": key}
