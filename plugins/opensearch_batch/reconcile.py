"""Reconcile: a shard's answers against its rows, so that each row has exactly one answer or one reason; and the
Report of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """What became of one shard. `answered + failed + missing`, and the rows handed on to a repair round (`passing`,
    counted by code), make `records`; duplicates, foreign and unreadable lines come on top.

    `results`, `failures` and `repair` (the rows handed on) are {"uri", "rows", "bytes", "sha256"}, None where there are
    no such rows. `examples` are the first failed rows of each code, {"id", "code", "message"}.
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
    passing: dict[str, int] = field(default_factory=dict)
    repair: dict[str, Any] | None = None

    @property
    def round(self) -> int:
        """0 for the run's own shards, else the repair round."""
        return int((self.job.get("shard") or {}).get("round", 0))


@dataclass
class Tally:
    """Counts rows while `join` goes over them. With `repair`, rows that failed for a passing reason, or are missing,
    count as `passing` and nowhere else: a later round has them.
    """

    repair: bool = False

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
    passing: dict[str, int] = field(default_factory=dict)

    def hands_on(self, failure: Failure) -> bool:
        return self.repair and failure.passing

    def count(self, failure: Failure) -> Failure:
        if self.hands_on(failure):
            self.passing[failure.code] = self.passing.get(failure.code, 0) + 1
        elif failure.code == MISSING:
            self.missing += 1
            self.name(MISSING, failure.id)
        else:
            self.fail(failure)
        return failure

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
    """A row without an answer, and why. `passing`: it may be answered when it is sent again; `alone`: if it is sent
    without the other rows of its request.
    """

    id: str
    code: str
    message: str
    passing: bool = False
    alone: bool = False

    @property
    def line(self) -> dict[str, Any]:
        """In a failures file."""
        return {"id": self.id, "code": self.code, "message": self.message}


@dataclass(frozen=True)
class Fate:
    """Why rows without a line have none: the job's own end, or `MISSING`."""

    code: str = MISSING
    message: str = "the provider's job ended well, but its files have no line for this row"
    passing: bool = True


def fate(
    state: str, error_code: str | None, error_message: str | None, passes: Callable[[str], bool] = lambda code: False
) -> Fate:
    """Jobs that expired, were cancelled or failed without a word are passing; one that failed says by its code."""
    if state == "completed":
        return Fate()
    return Fate(
        error_code or f"job_{state}",
        error_message or f"the provider's job ended {state} before this row was answered",
        state != "failed" or error_code is None or passes(error_code),
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
    for answer in _read(lines, provider, groups):
        if answer is None:
            tally.unreadable += 1
        elif (known := seen.get(answer.id)) is None:
            tally.foreign += 1
            tally.name("foreign", answer.id)
        elif known:
            tally.duplicates += 1
            tally.name("duplicates", answer.id)
        else:
            seen[answer.id] = True
            length = answer.dimensions
            dimensions = dimensions or length
            if answer.answered and length == dimensions:
                tally.answered += 1
                tally.usage += answer.usage
                yield answer
            elif answer.answered:
                said = f"the vector has {length} numbers, others of this job have {dimensions}"
                yield tally.count(Failure(answer.id, OTHER_DIMENSIONS, said))
            else:
                yield tally.count(Failure(answer.id, answer.code, answer.message, answer.passing, answer.alone))
    for row_id, done in seen.items():
        if not done:
            yield tally.count(Failure(row_id, fate.code, fate.message, fate.passing))


def _read(lines: Iterable[bytes], provider: Provider, groups: Groups | None) -> Iterator[Answer | None]:
    """None for a line, or a part of one, that cannot be read. Blank lines are passed over."""
    for raw in lines:
        if not raw.strip():
            continue
        try:
            if groups is None:
                yield provider.read_line(raw)
            else:
                yield from by_row(provider.read_many(raw), groups)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            yield None


@dataclass(frozen=True)
class Left:
    """Rows handed on to a round that did not land them: their earlier reasons, in the file `failures`, are the last."""

    tally: Tally
    failures: dict[str, Any]


@dataclass(frozen=True)
class Report(Value):
    """A whole run, each row counted once, with its last fate. `missing` counts every planned row that has neither an
    answer nor a reason, those of `absent` shards (their indexes) included.

    `passing` counts by code how often a row was handed on to a repair round; `repaired` are the rows answered in one,
    `left` those of `failed` and `missing` whose round never landed.
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
    passing: dict[str, int] = field(default_factory=dict)
    repaired: int = 0
    left: int = 0

    @property
    def problems(self) -> list[str]:
        """Why the run cannot count as whole; empty when every planned row is accounted for. A line that could not be
        read is made up for by a missing row that was handed on.
        """
        unreadable = self.unreadable if self.unreadable > self.passing.get(MISSING, 0) else 0
        found = [f"{n} {kind}" for kind, n in ((MISSING, self.missing), ("unreadable", unreadable)) if n]
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
        repaired = f" ({self.repaired} in a repair round)" if self.repaired else ""
        return (
            f"{self.answered} of {self.records} rows answered{repaired}, {self.failed} failed, "
            f"{self.missing} missing{extra}; "
            f"{counted(len(self.jobs), 'job')}, {self.actual_tokens} tokens{money}; manifest {self.manifest}"
        )


def shards_named(indexes: Sequence[int | str]) -> str:
    """ "shard 0", or "shards 0, 3" up to a bound."""
    named = ", ".join(map(str, indexes[:NAMED])) + (", …" if len(indexes) > NAMED else "")
    return f"shard{'s' if len(indexes) > 1 else ''} {named}"


def sum_up(plan: Plan, landed: Iterable[Landed], manifest: str, left: Sequence[Left] = ()) -> Report:
    """Against what was planned, not against what arrived: a shard that never landed is a hole of all its rows."""
    once = {(part.job.get("shard") or {}).get("uri") or part.job["key"]: part for part in landed}
    parts = sorted(once.values(), key=lambda part: (part.round, (part.job.get("shard") or {}).get("index", 0)))
    total = {name: sum(getattr(part, name) for part in parts) for name in _SUMS}
    total["failed"] += sum(rest.tally.failed for rest in left)
    counts: list[Landed | Tally] = [*parts, *(rest.tally for rest in left)]
    usage = Usage(total["input_tokens"], total["output_tokens"])
    total["missing"] = plan.records - total["answered"] - total["failed"]
    price = None
    if plan.input_usd_per_million is not None and plan.output_usd_per_million is not None:
        price = Price(plan.input_usd_per_million, plan.output_usd_per_million)
    return Report(
        records=plan.records,
        shards=plan.shards,
        jobs=[_job_line(part) for part in parts],
        codes=_added(count.codes for count in counts),
        named=_joined(count.named for count in counts),
        examples=[example for count in counts for example in count.examples][:NAMED],
        absent=_absent(plan, [part for part in parts if not part.round]),
        results=[part.results["uri"] for part in parts if part.results],
        failures=[part.failures["uri"] for part in parts if part.failures] + [rest.failures["uri"] for rest in left],
        passing=_added(part.passing for part in parts),
        repaired=sum(part.answered for part in parts if part.round),
        left=sum(rest.tally.failed + rest.tally.missing for rest in left),
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
        "round": part.round,
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
