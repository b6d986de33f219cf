"""Runs that ask before they pay: of specs known at run time only, of an index, and of an index beside an alias's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, Param, dag

from opensearch_batch.fill import fill_embeddings
from opensearch_batch.pipeline import batch_inference

FOLDER = Path(__file__).parent / "asked"
PARAMS: dict[str, Any] = {
    "spec": Param("asking", type="string"),
    "above": Param(0, type="number"),
    "hours": Param(24, type="number"),
    "dry_run": Param(False, type="boolean"),
}
OVERRIDES = {
    "limits.ask_above_usd": "{{ params.above }}",
    "limits.ask_timeout_hours": "{{ params.hours }}",
    "dry_run": "{{ params.dry_run }}",
}
NIGHTLY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


@dag(
    schedule=NIGHTLY,
    start_date=pendulum.datetime(2026, 11, 1),
    catchup=False,
    max_active_runs=8,
    params=PARAMS,
)
def asking() -> None:
    batch_inference(f"{FOLDER}/{{{{ params.spec }}}}.yaml", overrides=OVERRIDES)


def fill(name: str, **settings: Any) -> None:
    fill_embeddings(
        name,
        ["title", "body"],
        "embedding",
        model={"name": "text-embedding-3-small", "parameters": {"dimensions": 256}},
        output_uri=f"${{BATCH_DATA_URI}}/{name}/{{run_id}}",
        reuse={"uri": f"${{BATCH_DATA_URI}}/{name}/paid-for"},
        limits={"ask_above_usd": 0},
        wait={"poll_seconds": 1},
        **settings,
    )


@dag(schedule=None)
def asking_index() -> None:
    fill("asked-articles")


@dag(schedule=None)
def asking_beside() -> None:
    fill("asked-live", mode="beside", parity={})


asking()
asking_index()
asking_beside()
