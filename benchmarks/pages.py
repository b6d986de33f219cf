"""`python -m benchmarks.pages`: how long the pages take that Airflow's own API server serves from PostgreSQL, with 600
jobs in flight and 10,000 past runs, and a run's page with 600 shards.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks import results
from benchmarks.measure import ROOT, Unequal
from stack import airflow
from stack.home import Home
from stack.postgres import Postgres

if TYPE_CHECKING:
    from benchmarks.page_rows import Rows

TITLE = "Pages of all batches and of a run"
LEAST_SECONDS = 0.3
"""A page is to take no longer."""
CHUNK = 2000
API_SECONDS = 120.0


@dataclass(frozen=True)
class Size:
    jobs: int
    past: int
    shards: int


@contextmanager
def serving(folder: Path, size: Size) -> Iterator[tuple[httpx.Client, str, str]]:
    """Airflow's API server over a migrated database with these rows: a client who is logged in, and the paths of the
    page of all batches and of a run's.
    """
    home = Home(folder)
    home.acquire()
    env = airflow.base_environment(home)
    postgres = Postgres(home, env)
    postgres.start()
    port = home.port("Airflow")
    env |= airflow.settings(home, postgres.url, port, home.data, airflow.plugins_folder(home))
    os.environ |= {name: value for name, value in env.items() if name.startswith("AIRFLOW")}
    from benchmarks.page_rows import made
    from opensearch_batch.pages.address import PREFIX, path_of_run

    server = airflow.parts(home, env)["api-server"]
    try:
        migration = airflow.migration(home, env)
        migration.start()
        migration.finish()
        rows, many = made(size.jobs, size.past, size.shards)
        store(postgres.url, rows)
        server.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=API_SECONDS) as client:
            server.wait_until(lambda: _answers(client), "does not answer", pause_seconds=0.2)
            token = client.get("/auth/token").raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield client, f"{PREFIX}/", f"{PREFIX}/{path_of_run(many.dag_id, many.run_id)}"
    finally:
        server.stop()
        postgres.stop()
        home.release()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/api/v2/version").is_success
    except httpx.TransportError:
        return False


def store(database: str, rows: Rows) -> None:
    """Insert the rows, and have PostgreSQL count them as it does by itself within minutes."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.tasklog import LogTemplate
    from airflow.models.xcom import XComModel
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import create_engine, insert, select, text

    engine = create_engine(database)
    known = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.TEST}
    with engine.begin() as connection:
        template = connection.scalar(select(LogTemplate.id))
        moment = rows.xcoms[0]["timestamp"]
        for chunk in _chunks([{**known, **row, "run_after": moment, "log_template_id": template} for row in rows.runs]):
            connection.execute(insert(DagRun), chunk)
        ids = {
            (dag_id, run_id): id
            for id, dag_id, run_id in connection.execute(select(DagRun.id, DagRun.dag_id, DagRun.run_id))
        }
        for chunk in _chunks(rows.tasks):
            connection.execute(insert(TaskInstance), chunk)
        for chunk in _chunks([{**row, "dag_run_id": ids[row["dag_id"], row["run_id"]]} for row in rows.xcoms]):
            connection.execute(insert(XComModel), chunk)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze"))
    engine.dispose()


def _chunks(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield from (rows[n : n + CHUNK] for n in range(0, len(rows), CHUNK))


def measured(folder: Path, size: Size, pages: int, anew: int, pause: Callable[[float], None]) -> dict[str, list[float]]:
    """Seconds of each page; raise Unequal where a page has other figures than the rows."""
    with serving(folder, size) as (client, batches, run):
        from opensearch_batch.pages.recent import FRESH_SECONDS

        def seconds(path: str, wanted: str) -> float:
            began = time.perf_counter()
            answered = client.get(path).raise_for_status()
            took = time.perf_counter() - began
            if wanted not in answered.text:
                raise Unequal(f"{path} does not say: {wanted}")
            return took

        flight, rows = f"In flight: {size.jobs:,} jobs", f"{2000 * size.shards:,} rows: "
        found = {"the first after the server's start": [seconds(batches, flight)]}
        found["all batches"] = [seconds(batches, flight) for _ in range(pages)]
        found["all batches, past runs read anew"] = []
        for _ in range(anew):
            pause(FRESH_SECONDS + 1)
            found["all batches, past runs read anew"].append(seconds(batches, flight))
        seconds(run, rows)
        found[f"a run of {size.shards:,} shards"] = [seconds(run, rows) for _ in range(pages)]
    return found


def table(found: dict[str, list[float]]) -> str:
    lines = ["| page | times | median ms | most ms |", "|---|--:|--:|--:|"]
    for name, each in found.items():
        lines.append(f"| {name} | {len(each)} | {1000 * statistics.median(each):.0f} | {1000 * max(each):.0f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--jobs", type=int, default=600, help="in flight, in ten runs (default: %(default)s)")
    parser.add_argument("--past", type=int, default=10_000, help="runs of the last 30 days (default: %(default)s)")
    parser.add_argument("--shards", type=int, default=600, help="of the run whose page is asked for")
    parser.add_argument(
        "--pages", type=int, default=20, help="times that each page is asked for (default: %(default)s)"
    )
    parser.add_argument("--anew", type=int, default=5, help="pages a minute apart, at least 1 (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args(arguments)
    sys.path.append(str(ROOT / "plugins"))
    size = Size(given.jobs, given.past, given.shards)
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        found = measured(Path(folder), size, given.pages, given.anew, time.sleep)
    command = " ".join(["python -m benchmarks.pages", *sys.argv[1:]])
    text = (
        f"Written by `{command}`.\nMachine: {results.machine()}. {size.jobs:,} jobs in flight in ten runs and "
        f"{size.past:,} past runs in twenty DAGs, of one shard each.\n\n{table(found)}\n\n"
        "Airflow's own API server and PostgreSQL on the same machine, one request at a time, from the request to the\n"
        "last byte, Airflow's check of the user included. The last 30 days are read once a minute."
    )
    results.keep(given.results, TITLE, text)
    print(text)
    slow = [name for name, each in found.items() if statistics.median(each) > LEAST_SECONDS and "first" not in name]
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
