"""Batches: jobs in flight and past runs, made from what runs have pushed. Values in, values out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from opensearch_batch import providers
from opensearch_batch.land.summary import Summary
from opensearch_batch.pages.stored import Ended, Held, Pushed
from opensearch_batch.pages.told import ToldJob, ToldLook, ToldModel, ToldPlan, ToldSpec

Instance = tuple[str, str, str, int]
"""A task instance: dag, run, task, map index."""


@dataclass(frozen=True)
class JobInFlight:
    """`instance` is the task that waits for the job, or the one that has submitted it. `rows_done` is None until a wait
    has looked; the rate is that of the job's bundle. `tokens` and `usd` are the plan's estimates, 0 for a job of the
    run `shared_with`, which pays.
    """

    instance: Instance
    shard: str
    provider: str
    model: str
    job_id: str
    rows: int
    tokens: int
    usd: float | None
    shared_with: str = ""
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
    looked = {id: each for each in values if each.name == "waiting" for id in each.value.rows_done}
    ended = {outcome.job.provider_job_id for each in values if each.name == "outcomes" for outcome in each.value}
    for each in values:
        for job in each.value if each.name == "jobs" else ():
            if job.provider_job_id in ended:
                continue
            seen = looked.get(job.provider_job_id)
            at = seen or each
            planned = _planned(job, values)
            model, plan = _model(planned), _only(_named(planned, "plan"))
            tokens = job.shard.estimated_tokens if job.shard and not job.shared_with else 0
            yield JobInFlight(
                instance=(at.dag_id, at.run_id, at.task_id, at.map_index),
                shard=job.shard.name if job.shard else "",
                provider=model.provider if model else "",
                model=model.name if model else "",
                job_id=job.provider_job_id,
                rows=job.shard.records if job.shard else 0,
                tokens=tokens,
                usd=_part_of(plan, tokens),
                shared_with=job.shared_with or "",
                **_progress(seen.value if seen else None, job.provider_job_id),
            )


def _progress(look: ToldLook | None, job_id: str) -> dict[str, Any]:
    if look is None:
        return {}
    return {
        "rows_done": look.rows_done[job_id],
        "rows_per_second": look.progress.rows_per_second,
        "seconds_left": look.progress.seconds_left,
        "seen_at": look.seen_at,
    }


def _part_of(plan: ToldPlan | None, tokens: int) -> float | None:
    """The part of the plan's money that these tokens are; None without a known price."""
    if plan is None or not plan.estimated_tokens or plan.estimated_usd is None:
        return None
    return plan.estimated_usd * tokens / plan.estimated_tokens


def _model(values: Sequence[Pushed]) -> ToldModel | None:
    spec: ToldSpec | None = _only(_named(values, "spec"))
    if spec is None:
        return None
    return spec.model if spec.model.provider else ToldModel(spec.model.name, providers.DEFAULT.NAME)


def _named(values: Sequence[Pushed], name: str) -> list[Any]:
    return [each.value for each in values if each.name == name]


def _planned(job: ToldJob, values: Sequence[Pushed]) -> list[Pushed]:
    """Return plan and spec of the flow that has sent the job, by the key of its files; of all flows where that does not
    tell.
    """
    made = [each for each in values if each.name in ("plan", "spec")]
    key = job.shard.run_key if job.shard else ""
    own = {(each.task_id, each.map_index) for each in made if each.name == "plan" and each.value.run_key == key}
    return [each for each in made if not (key and own) or (each.task_id, each.map_index) in own]


def _only(values: Sequence[Any]) -> Any:
    """None of several: a DAG may have several chains, and which of them has sent a job may not be told."""
    return values[0] if len(values) == 1 else None


def tasks_held(held: Iterable[Held]) -> list[TaskHeld]:
    return [TaskHeld((each.dag_id, each.run_id, each.task_id, each.map_index), _why(each)) for each in held]


def _why(held: Held) -> str:
    if held.turn is not None:
        return _why_turn(held.turn)
    return {
        "scheduled": f"a slot of the pool {held.pool}, or of the DAG or the executor",
        "queued": "a worker",
        "awaiting_input": "somebody's approval",
        "up_for_retry": f"its try {held.tries + 1}",
    }.get(held.state, "an answer")


def _why_turn(turn: Mapping[str, Any]) -> str:
    if awaits := (turn.get("wanted") or {}).get("awaits"):
        return f"{awaits} at {turn.get('provider')}, tried every five minutes"
    limits = {"jobs in flight": turn.get("max_jobs"), "enqueued tokens": turn.get("max_tokens")}
    most = " and ".join(f"{most:,} {what}" for what, most in limits.items() if most)
    return f"its turn at {turn.get('provider')}: at most {most}"


def past_runs(ended: Iterable[Ended]) -> list[Past]:
    """Add up by DAG and model; most money first, then most rows."""
    by_model: dict[tuple[str, str, str], list[Summary]] = defaultdict(list)
    for each in ended:
        by_model[each.dag_id, each.summary.provider, each.summary.model].append(each.summary)
    found = [_added(*of, summaries) for of, summaries in by_model.items()]
    return sorted(found, key=lambda past: (-past.actual_usd, -past.counts["rows"], past.dag_id))


def _added(dag_id: str, provider: str, model: str, summaries: Sequence[Summary]) -> Past:
    codes: Counter[str] = Counter()
    for each in summaries:
        if each.codes:
            codes.update(each.codes)
    prices = [each.actual_usd for each in summaries]
    return Past(
        dag_id=dag_id,
        provider=provider,
        model=model,
        runs=len(summaries),
        counts={name: sum([getattr(each, name) for each in summaries]) for name in COUNTED},
        codes=codes,
        estimated_usd=sum(each.estimated_usd or 0.0 for each in summaries),
        actual_usd=sum(price or 0.0 for price in prices),
        unpriced=prices.count(None),
    )


def days(ended: Iterable[Ended]) -> list[Day]:
    """Add up by day (UTC) of the report, in order; a day without a run is left out."""
    by_day: dict[date, list[Summary]] = defaultdict(list)
    for each in ended:
        by_day[each.at.date()].append(each.summary)
    return [
        Day(day, sum([each.answered for each in of_day]), sum(each.actual_usd or 0.0 for each in of_day))
        for day, of_day in sorted(by_day.items())
    ]
