"""Batches: jobs in flight and past runs, made from what runs have pushed. Values in, values out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from opensearch_batch.flow.jobs import Job
from opensearch_batch.pages.stored import Ended, Held, Pushed

Instance = tuple[str, str, str, int]
"""A task instance: dag, run, task, map index."""


@dataclass(frozen=True)
class JobInFlight:
    """`instance` is the task that waits for the job, or the one that has submitted it. `rows_done` is None until a wait
    has looked; the rate is that of the job's bundle. `tokens` and `usd` are the plan's estimates.
    """

    instance: Instance
    shard: str
    provider: str
    model: str
    job_id: str
    rows: int
    tokens: int
    usd: float | None
    rows_done: int | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    seen_at: float | None = None


@dataclass(frozen=True)
class TaskHeld:
    """A task that has jobs to submit and waits: `why` says for what."""

    instance: Instance
    why: str


@dataclass(frozen=True)
class Past:
    """Ended runs of a DAG with a model, added up. `counts` has COUNTED, `codes` the reasons of failed rows. Money is
    that of the runs with a known price; `unpriced` runs have none.
    """

    dag_id: str
    provider: str
    model: str
    runs: int
    counts: Mapping[str, int]
    codes: Counter[str]
    estimated_usd: float
    actual_usd: float
    unpriced: int


@dataclass(frozen=True)
class Day:
    """Rows answered and dollars of a day."""

    day: date
    answered: int
    usd: float


COUNTED = ("rows", "answered", "failed", "missing", "repaired", "reused", "jobs", "rounds", "tokens")


def jobs_in_flight(pushed: Iterable[Pushed]) -> list[JobInFlight]:
    """Return the submitted jobs of live runs whose end no task has seen yet, in the order of runs and shards."""
    runs: dict[tuple[str, str], list[Pushed]] = defaultdict(list)
    for each in pushed:
        runs[each.dag_id, each.run_id].append(each)
    return [job for _, values in sorted(runs.items()) for job in _of_run(values)]


def _of_run(values: Sequence[Pushed]) -> Iterator[JobInFlight]:
    spec, plan = _value(values, "spec"), _value(values, "plan")
    looked = {id: each for each in values if each.name == "waiting" for id in _rows_done(each)}
    ended = {outcome["job"]["provider_job_id"] for outcome in _listed(values, "outcomes")}
    model = spec.get("model") or {}
    for each in values:
        for told in each.value if each.name == "jobs" and isinstance(each.value, list) else ():
            job = Job.from_dict(told)
            if job.provider_job_id in ended:
                continue
            rows, tokens = (job.shard.records, job.shard.estimated_tokens) if job.shard else (0, 0)
            seen = looked.get(job.provider_job_id)
            at = seen or each
            yield JobInFlight(
                instance=(at.dag_id, at.run_id, at.task_id, at.map_index),
                shard=job.shard.name if job.shard else "",
                provider=model.get("provider") or "",
                model=model.get("name") or "",
                job_id=job.provider_job_id,
                rows=rows,
                tokens=tokens,
                usd=_part_of(plan, tokens),
                **_progress(seen, job.provider_job_id),
            )


def _rows_done(each: Pushed) -> Mapping[str, int]:
    return each.value.get("rows_done") or {} if isinstance(each.value, dict) else {}


def _progress(seen: Pushed | None, job_id: str) -> dict[str, Any]:
    if seen is None:
        return {}
    progress = seen.value["progress"]
    return {
        "rows_done": seen.value["rows_done"][job_id],
        "rows_per_second": progress.get("rows_per_second"),
        "seconds_left": progress.get("seconds_left"),
        "seen_at": seen.value["seen_at"],
    }


def _part_of(plan: Mapping[str, Any], tokens: int) -> float | None:
    """The part of the plan's money that these tokens are; None without a known price."""
    whole, money = plan.get("estimated_tokens"), plan.get("estimated_usd")
    return money * tokens / whole if whole and money is not None else None


def _value(values: Sequence[Pushed], name: str) -> Mapping[str, Any]:
    return next((each.value for each in values if each.name == name and isinstance(each.value, dict)), {})


def _listed(values: Sequence[Pushed], name: str) -> Iterator[Any]:
    for each in values:
        if each.name == name and isinstance(each.value, list):
            yield from each.value


def tasks_held(held: Iterable[Held]) -> list[TaskHeld]:
    return [TaskHeld((each.dag_id, each.run_id, each.task_id, each.map_index), _why(each)) for each in held]


def _why(held: Held) -> str:
    if held.turn is not None:
        return _why_turn(held.turn)
    return {
        "scheduled": f"a slot of the pool {held.pool}, or of the DAG or the executor",
        "queued": "a worker",
        "up_for_retry": f"its try {held.tries + 1}",
    }.get(held.state, "an answer")


def _why_turn(turn: Mapping[str, Any]) -> str:
    limits = {"jobs in flight": turn.get("max_jobs"), "enqueued tokens": turn.get("max_tokens")}
    most = " and ".join(f"{most:,} {what}" for what, most in limits.items() if most)
    return f"its turn at {turn.get('provider')}: at most {most}"


def past_runs(ended: Iterable[Ended]) -> list[Past]:
    """Add up by DAG and model; most money first, then most rows."""
    told: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for each in ended:
        told[each.dag_id, each.summary["provider"], each.summary["model"]].append(each.summary)
    found = [_added(*of, summaries) for of, summaries in told.items()]
    return sorted(found, key=lambda past: (-past.actual_usd, -past.counts["rows"], past.dag_id))


def _added(dag_id: str, provider: str, model: str, summaries: Sequence[Mapping[str, Any]]) -> Past:
    codes: Counter[str] = Counter()
    for each in summaries:
        if each["codes"]:
            codes.update(each["codes"])
    prices = [each["actual_usd"] for each in summaries]
    return Past(
        dag_id=dag_id,
        provider=provider,
        model=model,
        runs=len(summaries),
        counts={name: sum([each[name] for each in summaries]) for name in COUNTED},
        codes=codes,
        estimated_usd=sum(each["estimated_usd"] or 0.0 for each in summaries),
        actual_usd=sum(price or 0.0 for price in prices),
        unpriced=prices.count(None),
    )


def days(ended: Iterable[Ended]) -> list[Day]:
    """Add up by day (UTC) of the report, in order; a day without a run is left out."""
    told: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for each in ended:
        told[each.at.date()].append(each.summary)
    return [
        Day(day, sum([each["answered"] for each in of_day]), sum(each["actual_usd"] or 0.0 for each in of_day))
        for day, of_day in sorted(told.items())
    ]
