"""The page of all batches as HTML: what is in flight, what waits, and the last days. Values in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from html import escape

from opensearch_batch.pages.address import path_of_run
from opensearch_batch.pages.batches import Day, Instance, JobInFlight, Past, TaskHeld
from opensearch_batch.pages.markup import code, document, grid, number, task_link, usd
from opensearch_batch.pages.plots import bars, share
from opensearch_batch.wait.progress import duration

DAYS = 30
CODES = 3
"""Reasons of failed rows that are named."""


def batches_page(
    jobs: Sequence[JobInFlight], held: Sequence[TaskHeld], past: Sequence[Past], days: Sequence[Day], first: date
) -> str:
    """`days` and `past` are of DAYS days from `first` on."""
    parts = (_in_flight(jobs), _held(held), _past(past, days, first))
    return document("Batches", (line for part in parts for line in part))


def _in_flight(jobs: Sequence[JobInFlight]) -> Iterator[str]:
    yield f'<h2 id="flight">In flight: {number(len(jobs))} jobs</h2>'
    if not jobs:
        yield "<p>No job is in flight.</p>"
        return
    tokens, known = sum(job.tokens for job in jobs), [job.usd for job in jobs if job.usd is not None]
    rows = sum(job.rows for job in jobs)
    done = sum(job.rows_done or 0 for job in jobs)
    money = f", about {usd(sum(known))}" if known else ""
    yield f"<p>{share(done, rows)} rows done, {number(tokens)} tokens (estimated){money}</p>"
    yield from grid(
        ("DAG", "run", "shard", "provider", "model", "rows", "rows/s", "left", "tokens", "USD", "job", "seen"),
        (_job(job) for job in jobs),
        TEXTS,
    )


def _job(job: JobInFlight) -> Iterator[str]:
    yield escape(job.instance[0])
    yield _run(job.instance)
    yield task_link(job.instance, job.shard or job.instance[2])
    yield escape(job.provider)
    yield escape(job.model)
    yield number(job.rows) if job.rows_done is None else share(job.rows_done, job.rows)
    yield "" if job.rows_per_second is None else f"{job.rows_per_second:.3g}"
    yield "" if job.seconds_left is None else duration(job.seconds_left)
    yield number(job.tokens)
    yield "" if job.usd is None else usd(job.usd)
    shared = f" of {escape(job.shared_with)}" if job.shared_with else ""
    yield f"{code(job.job_id)}{shared}"
    yield "" if job.seen_at is None else f"{datetime.fromtimestamp(job.seen_at, UTC):%H:%M} UTC"


def _held(held: Sequence[TaskHeld]) -> Iterator[str]:
    yield f'<h2 id="held">Waiting to submit: {number(len(held))} tasks</h2>'
    if not held:
        yield "<p>No task waits.</p>"
        return
    yield from grid(("DAG", "run", "task", "waits for"), (_task_held(each) for each in held), TEXTS)


def _task_held(each: TaskHeld) -> Iterator[str]:
    dag_id, _, task_id, map_index = each.instance
    yield escape(dag_id)
    yield _run(each.instance)
    yield task_link(each.instance, task_id if map_index < 0 else f"{task_id} [{map_index}]")
    yield escape(each.why)


def _past(past: Sequence[Past], days: Sequence[Day], first: date) -> Iterator[str]:
    yield f'<h2 id="past">The last {DAYS} days</h2>'
    if not past:
        yield "<p>No run has ended.</p>"
        return
    plotted: tuple[tuple[str, dict[date, float], Callable[[float], str]], ...] = (
        ("Rows answered", {day.day: day.answered for day in days}, number),
        ("Dollars", {day.day: day.usd for day in days}, lambda value: f"${value:,.2f}" if value >= 1 else usd(value)),
    )
    for title, values, shown in plotted:
        yield bars(title, values, first, DAYS + 1, shown)
    yield from grid(
        (
            "DAG", "provider", "model", "runs", "rows", "answered", "reused", "repaired", "rounds", "failed", "missing",
            "jobs", "tokens", "USD", "estimated", "reasons",
        ),
        (_of_model(each) for each in past),
        TEXTS,
    )  # fmt: skip


def _of_model(past: Past) -> Iterator[str]:
    yield from (escape(past.dag_id), escape(past.provider), escape(past.model), number(past.runs))
    names = ("rows", "answered", "reused", "repaired", "rounds", "failed", "missing", "jobs", "tokens")
    yield from (number(past.counts[name]) for name in names)
    unpriced = f" and {number(past.unpriced)} runs without a price" if past.unpriced else ""
    yield f"{usd(past.actual_usd)}{unpriced}"
    yield usd(past.estimated_usd)
    yield escape(", ".join(f"{number(count)} {reason}" for reason, count in past.codes.most_common(CODES)))


TEXTS = frozenset({"DAG", "run", "shard", "task", "provider", "model", "job", "waits for", "reasons", "seen"})
"""Columns that are no numbers."""


def _run(instance: Instance) -> str:
    """A link to the run's page of ours."""
    dag_id, run_id, *_ = instance
    return f'<a href="{escape(path_of_run(dag_id, run_id))}">{escape(run_id)}</a>'
