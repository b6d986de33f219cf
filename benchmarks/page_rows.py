"""Rows of Airflow's tables for the benchmark of the pages: runs with jobs in flight, past runs, and a run of many
shards, each with the tasks and the values that a pipeline leaves. No row is of a DAG that Airflow knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.report import Fetched, Report, reported
from opensearch_batch.land.summary import SUMMARY, summary_of
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.wait.progress import Looked, Progress

ROWS, BUNDLE = 2000, 6
"""Rows a shard, and shards that one task submits."""
SPEC = {
    "name": "nightly",
    "model": {"name": "text-embedding-3-small", "provider": "openai", "parameters": {"dimensions": 256}},
    "input": {"uri": "s3://bucket/articles/2026-11-28/*.jsonl"},
    "output": {"uri": "s3://bucket/article-embeddings/2026-11-28"},
}
NOT_NULL = {"pool": "default_pool", "pool_slots": 1, "try_number": 1}


@dataclass
class Rows:
    """By table; `xcoms` and `tasks` name their run by its id."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    xcoms: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class OneRun:
    number: int
    dag_id: str
    shards: int
    ended: bool

    @property
    def run_id(self) -> str:
        return f"scheduled__{self.number:05d}"

    @property
    def jobs(self) -> list[Job]:
        return [
            Job(
                f"batch-{n:032x}",
                1,
                f"batch_{self.number:08x}{n:024x}",
                f"file-{n:024x}",
                f"task-{n:016x}",
                "model",
                shard,
            )
            for n, shard in enumerate(self._shards())
        ]

    def _shards(self) -> Iterator[Shard]:
        for n in range(self.shards):
            uri = f"s3://bucket/work/{self.number:010x}/prepare_input/shard-{n:05d}.jsonl"
            yield Shard(n, uri, f"{n:064x}", ROWS, 900_000, 200_000)


def add(rows: Rows, run: OneRun, at: datetime) -> None:
    """Add the run with its tasks and what they have pushed by then."""
    jobs = run.jobs
    bundles = [jobs[n : n + BUNDLE] for n in range(0, len(jobs), BUNDLE)]
    plan = Plan(
        f"{run.number:010x}", ROWS * run.shards, run.shards, 900_000 * run.shards, 200_000 * run.shards, 0.01, 0.0, 0.4
    )
    rows.runs.append({"dag_id": run.dag_id, "run_id": run.run_id, "state": "success" if run.ended else "running"})
    prepared = {"plan": plan, "spec": SPEC, "return_value": [[job.shard for job in bundle] for bundle in bundles]}
    _task(rows, run, at, ("prepare_input", -1, "PrepareInputOperator"), prepared)
    for n, bundle in enumerate(bundles):
        link = f"https://platform.openai.com/batches/{bundle[0].provider_job_id}"
        submitted = {"return_value": bundle, "_link_ProviderLink": link}
        _task(rows, run, at, ("shard.submit_batch", n, "SubmitBatchOperator"), submitted)
        looked = Looked(
            at.timestamp(), Progress(ROWS, 7, 0, 1, 0, 1.5, 300.0), {job.provider_job_id: 7 for job in bundle}
        )
        ends = {"return_value": [_outcome(job) for job in bundle]} if run.ended else {}
        _task(rows, run, at, ("shard.wait_for_batch", n, "BatchSensor"), {"waiting": looked, **ends})
        if run.ended:
            fetched = {"return_value": Fetched([_landed(job) for job in bundle], None)}
            _task(rows, run, at, ("shard.fetch_output", n, "FetchOutputOperator"), fetched)
    if run.ended:
        report = _report(run, jobs, plan)
        summed = {"return_value": report, "report": report, SUMMARY: summary_of(report, SPEC)}
        _task(rows, run, at, ("report", -1, "ReportOperator"), summed)


def _task(rows: Rows, run: OneRun, at: datetime, task: tuple[str, int, str], pushed: dict[str, Any]) -> None:
    task_id, map_index, operator = task
    here = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": map_index}
    state = "deferred" if operator == "BatchSensor" and not run.ended else "success"
    rows.tasks.append({**here, **NOT_NULL, "id": uuid4(), "operator": operator, "state": state})
    rows.xcoms += [{**here, "key": key, "value": _plain(value), "timestamp": at} for key, value in pushed.items()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


def _outcome(job: Job) -> Outcome:
    return Outcome(job, "completed", "completed", [f"file-out-{job.key}"], ROWS, ROWS - 1, 1, 200_000, 0)


def _landed(job: Job) -> Landed:
    counts = (ROWS, ROWS - 1, 1, 0, 0, 0, 0, 200_000, 0)
    file = DataFile(f"s3://bucket/article-embeddings/results-{job.key}.jsonl", ROWS - 1, 9_000_000, job.key)
    return Landed(job, "completed", *counts, codes={"context_length_exceeded": 1}, results=file)


def _report(run: OneRun, jobs: list[Job], plan: Plan) -> Report:
    shards = run.shards
    return Report(
        records=ROWS * shards,
        answered=(ROWS - 1) * shards,
        failed=shards,
        missing=0,
        duplicates=0,
        foreign=0,
        unreadable=0,
        shards=shards,
        jobs=[reported(job, "completed", ROWS) for job in jobs],
        codes={"context_length_exceeded": shards},
        named={},
        examples=[],
        absent=[],
        results=[f"s3://bucket/article-embeddings/results-{job.key}.jsonl" for job in jobs],
        failures=[],
        estimated_tokens=plan.estimated_tokens,
        estimated_usd=plan.estimated_usd,
        input_tokens=200_000 * shards,
        output_tokens=0,
        actual_tokens=200_000 * shards,
        actual_usd=0.4,
        manifest=f"s3://bucket/article-embeddings/manifest-{plan.run_key}.json",
    )


def made(jobs: int, past: int, shards: int) -> tuple[Rows, OneRun]:
    """Return the rows of ten runs with `jobs` in flight together, of `past` runs of one shard over the last 30 days in
    twenty DAGs, and of one run of `shards` shards, which is returned too.
    """
    rows, now = Rows(), datetime.now(UTC)
    for n in range(10):
        add(rows, OneRun(n, f"in_flight_{n}", jobs // 10, ended=False), now)
    for n in range(past):
        add(rows, OneRun(100 + n, f"past_{n % 20:02d}", 1, ended=True), now - timedelta(days=30 * n / max(1, past)))
    many = OneRun(99, "many_shards", shards, ended=True)
    add(rows, many, now)
    return rows, many
