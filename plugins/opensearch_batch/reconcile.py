"""Reconcile: a shard's answers against its rows, so that each row has exactly one answer or one reason; and the
Report of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.grouping import Groups, by_row
from opensearch_batch.plan import Plan, Price, counted
from opensearch_batch.providers.protocol import Answer, Provider, Usage
from opensearch_batch.values import Value

MISSING = "missing"
"""Code of a row that the provider never spoke of, in a job that ended well."""

OTHER_DIMENSIONS = "other_dimensions"
"""Code of a row whose vector is longer or shorter than the job's first one."""

NAMED = 10
"""So many ids of each kind of trouble are named; all of them are counted."""

EXAMPLES_A_CODE = 3
MESSAGE_CHARACTERS = 300
"""Of the provider's words in an example; the failures file has them whole."""


@dataclass(frozen=True)
class Landed(Value):
    """What became of one shard. `answered + failed + missing == records`; duplicates, foreign and unreadable lines
    come on top.

    `results` and `failures` are {"uri", "rows", "bytes", "sha256"}, None where there are no such rows. `examples` are
    the first failed rows of each code, {"id", "code", "message"}.
    """

    job: dict[str, Any]
    state: str
    records: int
    answered: int
    failed: int
    missing: int
    duplicates: int
    foreign: int
    unreadable: int
    input_tokens: int
    output_tokens: int
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, Any] | None = None
    failures: dict[str, Any] | None = None


@dataclass
class Tally:
    """Counts rows while `join` goes over them."""

    answered: int = 0
    failed: int = 0
    missing: int = 0
    duplicates: int = 0
    foreign: int = 0
    unreadable: int = 0
    usage: Usage = field(default_factory=Usage)
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)

    def name(self, trouble: str, row_id: str) -> None:
        if len(ids := self.named.setdefault(trouble, [])) < NAMED:
            ids.append(row_id)

    def fail(self, failure: Failure) -> None:
        self.failed += 1
        self.codes[failure.code] = self.codes.get(failure.code, 0) + 1
        if self.codes[failure.code] <= EXAMPLES_A_CODE and len(self.examples) < NAMED:
            words = failure.message[:MESSAGE_CHARACTERS]
            self.examples.append({"id": failure.id, "code": failure.code, "message": words})


@dataclass(frozen=True)
class Failure:
    """A row without an answer, and why."""

    id: str
    code: str
    message: str


@dataclass(frozen=True)
class Fate:
    """Why rows without a line have none: the job's own end, or `MISSING`."""

    code: str = MISSING
    message: str = "the provider's job ended well, but its files have no line for this row"


def fate(state: str, error_code: str | None, error_message: str | None) -> Fate:
    if state == "completed":
        return Fate()
    return Fate(
        error_code or f"job_{state}", error_message or f"the provider's job ended {state} before this row was answered"
    )


def join(
    ids: Sequence[str],
    lines: Iterable[bytes],
    provider: Provider,
    fate: Fate,
    tally: Tally,
    groups: Groups | None = None,
) -> Iterator[Answer | Failure]:
    """Yield each id once, answered or failed. The first line about an id counts.

    Lines come in any order, answers before reasons. A vector of another length than the first one's is no answer.
    Memory holds the shard's ids and one line, never all answers. `groups` are the ids by request, where requests have
    many.
    """
    seen = dict.fromkeys(ids, False)
    dimensions = 0
    for answer in (answer for raw in lines if raw.strip() for answer in _read(raw, provider, groups)):
        if answer is None:
            tally.unreadable += 1
        elif answer.id not in seen:
            tally.foreign += 1
            tally.name("foreign", answer.id)
        elif seen[answer.id]:
            tally.duplicates += 1
            tally.name("duplicates", answer.id)
        else:
            seen[answer.id] = True
            dimensions = dimensions or answer.dimensions
            if answer.answered and answer.dimensions == dimensions:
                tally.answered += 1
                tally.usage += answer.usage
                yield answer
            elif answer.answered:
                said = f"the vector has {answer.dimensions} numbers, others of this job have {dimensions}"
                yield _failed(Failure(answer.id, OTHER_DIMENSIONS, said), tally)
            else:
                yield _failed(Failure(answer.id, answer.code, answer.message), tally)
    for row_id, done in seen.items():
        if not done:
            yield _without_line(row_id, fate, tally)


def _read(raw: bytes, provider: Provider, groups: Groups | None) -> Iterator[Answer | None]:
    """None for a line, or a part of one, that cannot be read."""
    try:
        if groups is None:
            yield provider.read_line(raw)
        else:
            yield from by_row(provider.read_many(raw), groups)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        yield None


def _failed(failure: Failure, tally: Tally) -> Failure:
    tally.fail(failure)
    return failure


def _without_line(row_id: str, fate: Fate, tally: Tally) -> Failure:
    failure = Failure(row_id, fate.code, fate.message)
    if fate.code != MISSING:
        return _failed(failure, tally)
    tally.missing += 1
    tally.name(MISSING, row_id)
    return failure


@dataclass(frozen=True)
class Report(Value):
    """A whole run. `missing` counts every planned row that has neither an answer nor a reason, those of `absent` shards
    (their indexes) included.
    """

    records: int
    answered: int
    failed: int
    missing: int
    duplicates: int
    foreign: int
    unreadable: int
    shards: int
    jobs: list[dict[str, Any]]
    codes: dict[str, int]
    named: dict[str, list[str]]
    examples: list[dict[str, str]]
    absent: list[int]
    results: list[str]
    failures: list[str]
    estimated_tokens: int
    estimated_usd: float | None
    input_tokens: int
    output_tokens: int
    actual_tokens: int
    actual_usd: float | None
    manifest: str

    @property
    def problems(self) -> list[str]:
        """Why the run cannot count as whole; empty when every planned row is accounted for."""
        found = [f"{n} {kind}" for kind, n in ((MISSING, self.missing), ("unreadable", self.unreadable)) if n]
        if found and (ids := self.named.get(MISSING)):
            found[0] += f" ({', '.join(ids)}{', …' if self.missing > len(ids) else ''})"
        return [*found, f"{shards_named(self.absent)} never landed"] if self.absent else found

    def __str__(self) -> str:
        money = (
            "" if self.actual_usd is None else f", ${self.actual_usd:.4f} (estimated ${self.estimated_usd or 0:.4f})"
        )
        extra = "".join(
            f", {n} {kind}" for kind, n in (("duplicates", self.duplicates), ("foreign", self.foreign)) if n
        )
        return (
            f"{self.answered} of {self.records} rows answered, {self.failed} failed, {self.missing} missing{extra}; "
            f"{counted(len(self.jobs), 'job')}, {self.actual_tokens} tokens{money}; manifest {self.manifest}"
        )


def shards_named(indexes: Sequence[int | str]) -> str:
    """ "shard 0", or "shards 0, 3" up to a bound."""
    named = ", ".join(map(str, indexes[:NAMED])) + (", …" if len(indexes) > NAMED else "")
    return f"shard{'s' if len(indexes) > 1 else ''} {named}"


def sum_up(plan: Plan, landed: Iterable[Landed], manifest: str) -> Report:
    """Against what was planned, not against what arrived: a shard that never landed is a hole of all its rows."""
    once = {(part.job.get("shard") or {}).get("uri") or part.job["key"]: part for part in landed}
    parts = sorted(once.values(), key=lambda part: (part.job.get("shard") or {}).get("index", 0))
    total = {name: sum(getattr(part, name) for part in parts) for name in _SUMS}
    usage = Usage(total["input_tokens"], total["output_tokens"])
    total["missing"] = plan.records - total["answered"] - total["failed"]
    price = None
    if plan.input_usd_per_million is not None and plan.output_usd_per_million is not None:
        price = Price(plan.input_usd_per_million, plan.output_usd_per_million)
    return Report(
        records=plan.records,
        shards=plan.shards,
        jobs=[_job_line(part) for part in parts],
        codes=_added(part.codes for part in parts),
        named=_joined(part.named for part in parts),
        examples=[example for part in parts for example in part.examples][:NAMED],
        absent=_absent(plan, parts),
        results=[part.results["uri"] for part in parts if part.results],
        failures=[part.failures["uri"] for part in parts if part.failures],
        estimated_tokens=plan.estimated_tokens,
        estimated_usd=plan.estimated_usd,
        actual_tokens=usage.input_tokens + usage.output_tokens,
        actual_usd=price.of(usage) if price else None,
        manifest=manifest,
        **total,
    )


_SUMS = ("answered", "failed", "duplicates", "foreign", "unreadable", "input_tokens", "output_tokens")


def _job_line(part: Landed) -> dict[str, Any]:
    job = part.job
    return {
        "shard": (job.get("shard") or {}).get("index"),
        "task_id": job["task_id"],
        "provider_job_id": job["provider_job_id"],
        "input_file_id": job["input_file_id"],
        "model_id": job["model_id"],
        "key": job["key"],
        "attempt": job["attempt"],
        "state": part.state,
        "records": part.records,
    }


def _absent(plan: Plan, parts: Sequence[Landed]) -> list[int]:
    """None where everything arrived: a plan made from what landed may speak of shards 3 and 4 alone."""
    if len(parts) >= plan.shards:
        return []
    return sorted(set(range(plan.shards)) - {part.job["shard"]["index"] for part in parts if part.job.get("shard")})


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for code, n in count.items():
            total[code] = total.get(code, 0) + n
    return total


def _joined(names: Iterable[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    total: dict[str, list[str]] = {}
    for name in names:
        for kind, ids in name.items():
            total[kind] = (total.get(kind, []) + ids)[:NAMED]
    return total
