"""Report: the landed rows of a run against the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType, field

from opensearch_batch.errors import Terminal
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.approval import Approval
from opensearch_batch.flow.beside import Swapped
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, RemoteState
from opensearch_batch.flow.landed import Example, Landed
from opensearch_batch.flow.parity import Parity
from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.flow.values import Value
from opensearch_batch.flow.written import Written
from opensearch_batch.land.reconcile import MISSING, NAMED, Left, Tally
from opensearch_batch.prepare.plan import Plan, counted


class ReportedJob(Value, frozen=True):
    """A job of the run; `shard` is a shard's index, None for raw parameters. `records` are rows. `shared_with` names
    the run that has paid for the job; unset for the run's own jobs.
    """

    shard: int | None
    round: int
    task_id: str | None
    provider_job_id: str
    input_file_id: str | None
    model_id: str
    key: str
    attempt: int
    state: RemoteState
    records: int
    shared_with: str | UnsetType = UNSET


class Report(Value, frozen=True):
    """A whole run; every row counts once, with the last fate. `missing` counts every planned row without an answer or a
    reason, rows of `absent` shards (indexes) included.

    `passing` counts by code how often a row was handed on to a repair round; `repaired` are the rows answered in a
    repair round, `left` the rows of `failed` and `missing` whose round never landed. `zero_vectors` and `truncated`
    texts count in `answered` too; unset in manifests of earlier versions. `bad_rows` of the input were skipped; they
    count in `records` and `failed` too.
    """

    records: int
    answered: int
    failed: int
    missing: int
    duplicates: int
    foreign: int
    unreadable: int
    shards: int
    jobs: list[ReportedJob]
    codes: dict[str, int]
    named: dict[str, list[str]]
    examples: list[Example]
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
    instance_seconds: float = 0.0
    zero_vectors: int | UnsetType = UNSET
    truncated: int | UnsetType = UNSET
    unlanded: list[ReportedJob] | UnsetType = UNSET
    """Jobs whose answers did not land; unset where there are none."""
    unexplained: int | UnsetType = UNSET
    """Of the unreadable lines those in jobs with more of them than missing rows that were handed on; unset in manifests
    of earlier versions.
    """
    bad_rows: int | UnsetType = UNSET
    reused: int | UnsetType = UNSET
    """Rows answered with a vector of an earlier run: they count in `records` and `answered` too, and cost nothing."""
    twins: int | UnsetType = UNSET
    """Rows with the text of another row, answered or failed as that: they count there too, and cost nothing."""
    written: Written | UnsetType = UNSET
    """What became of the vectors in the index; unset where nothing is written back."""
    parity: Parity | UnsetType = UNSET
    """A sample of the index's vectors against the model's online answers; unset where none was to be compared."""
    swapped: Swapped | UnsetType = UNSET
    """The alias that moved to the index of these vectors; unset where none has."""
    approval: Approval | UnsetType = UNSET
    """Who said yes or no before anything was sent; unset where nobody was asked."""
    stragglers: Stragglers | UnsetType = UNSET
    """Rows asked online after the last batch: they count in `answered` and `failed` too, and their tokens and their
    money stand here alone. Unset where no row was open."""
    not_sent: int | UnsetType = UNSET
    """Rows that nobody has sent, because the plan was rejected: they are neither failed nor missing."""
    indices: list[str] | UnsetType = UNSET
    """The indices that were read, of an alias each; unset where the input is none, and in manifests of earlier
    versions."""

    @property
    def all_landed(self) -> bool:
        """Whether every shard landed, shards of repair rounds included, answered or not."""
        return not self.absent and not self.left

    @property
    def problems(self) -> list[str]:
        """Why the run cannot count as whole; empty when every planned row has an answer or a reason. A missing row
        handed on makes up for an unreadable line of the same job.
        """
        unreadable = self.unexplained
        if unreadable is UNSET:
            unreadable = self.unreadable if self.unreadable > self.passing.get(MISSING, 0) else 0
        found = [f"{n} {kind}" for kind, n in ((MISSING, self.missing), ("unreadable", unreadable)) if n]
        if found and (ids := self.named.get(MISSING)):
            found[0] += f" ({', '.join(ids)}{', …' if self.missing > len(ids) else ''})"
        return [*found, f"{shards_named(self.absent)} never landed"] if self.absent else found

    def __str__(self) -> str:
        if self.approval and self.approval.refused:
            rest = self.records - (self.not_sent or 0)
            sent = f"nothing more was sent; {rest} rows have jobs of an earlier try" if rest else "nothing was sent"
            return f"{self.approval}: {sent}, and nothing was written"
        money = "" if self.actual_usd is None else f", ${self.actual_usd:.4f}"
        if self.actual_usd is not None and self.estimated_usd is not None:
            money += f" (estimated ${self.estimated_usd:.4f})"
        used = f"{self.actual_tokens} tokens"
        if self.instance_seconds:
            used = f"{self.instance_seconds:.0f} instance-seconds"
        counts = {
            "duplicates": self.duplicates,
            "foreign": self.foreign,
            "all-zero vectors": self.zero_vectors,
            "truncated texts": self.truncated,
        }
        extra = "".join(f", {n} {kind}" for kind, n in counts.items() if n)
        jobs = counted(len(self.jobs), "job") + _shared_words(self.jobs)
        if self.unlanded:
            jobs += f" and {counted(len(self.unlanded), 'job')} more, submitted and not landed"
            money = money or ", at a price not known yet"
        bad = f" ({counted(self.bad_rows, 'bad row')} of the input)" if self.bad_rows else ""
        repaired = f" ({self.repaired} in a repair round)" if self.repaired else ""
        if self.reused:
            repaired += f" ({self.reused} with the vector of an earlier run)"
        back = f"; {counted(self.twins, 'row')} with the text of another row, which was sent once" if self.twins else ""
        back += "".join(
            f"; {part}" for part in (self.stragglers, self.written, self.parity, self.swapped, self.approval) if part
        )
        return (
            f"manifest {self.manifest}: {self.answered} of {self.records} rows answered{repaired}, "
            f"{self.failed} failed{bad}, {self.missing} missing{extra}; {jobs}, {used}{money}{back}"
        )


class Fetched(Value, frozen=True):
    """The output of FetchOutputOperator; `report` is None in a pipeline, where ReportOperator sums up."""

    landed: list[Landed]
    report: Report | None


def _shared_words(jobs: Iterable[ReportedJob]) -> str:
    owners = [job.shared_with for job in jobs if job.shared_with]
    return f" ({len(owners)} shared with {', '.join(sorted({*owners}))}, paid there)" if owners else ""


def shards_named(indexes: Sequence[int | str]) -> str:
    """ "shard 0", or "shards 0, 3" up to a bound."""
    named = ", ".join(map(str, indexes[:NAMED])) + (", …" if len(indexes) > NAMED else "")
    return f"shard{'s' if len(indexes) > 1 else ''} {named}"


def sum_up(
    plan: Plan,
    landed: Iterable[Landed],
    manifest: str,
    left: Sequence[Left] = (),
    bad: Left | None = None,
    reused: DataFile | None = None,
) -> Report:
    """Sum up the landed shards against the plan: a shard that never landed is a hole of all the shard's rows. `bad` are
    the bad rows of the input, `reused` the rows that were not sent. Raise Terminal for more ends than rows.
    """
    unsent = [*left, *([bad] if bad else [])]
    parts = _each_once(landed)
    total: dict[str, Any] = {name: sum(getattr(part, name) or 0 for part in parts) for name in _SUMS}
    total["failed"] += sum(rest.tally.failed for rest in unsent)
    counts: list[Landed | Tally] = [*parts, *(rest.tally for rest in unsent)]
    usage = Usage(total["input_tokens"], total["output_tokens"], total["instance_seconds"])
    total["answered"] += reused.rows if reused else 0
    records = plan.records + (plan.twins or 0) + (bad.tally.failed if bad else 0) + (reused.rows if reused else 0)
    total["missing"] = _missing(records, total["answered"] + total["failed"])
    return Report(
        records=records,
        shards=plan.shards,
        jobs=[reported(part.job, part.state, part.records) for part in parts if not part.job.is_online],
        codes=_added(count.codes for count in counts),
        named=_joined(count.named for count in counts),
        examples=[example for count in counts for example in count.examples][:NAMED],
        absent=_absent(plan, [part for part in parts if not part.job.round]),
        results=[part.results.uri for part in parts if part.results] + ([reused.uri] if reused else []),
        reused=reused.rows if reused else UNSET,
        twins=plan.twins,
        failures=[part.failures.uri for part in parts if part.failures] + [rest.failures.uri for rest in unsent],
        passing=_added(part.passing for part in parts),
        repaired=sum(part.answered for part in parts if part.job.round and not part.job.is_online),
        left=sum(rest.tally.failed + rest.tally.missing for rest in left),
        estimated_tokens=plan.estimated_tokens,
        estimated_usd=plan.estimated_usd,
        actual_tokens=usage.input_tokens + usage.output_tokens,
        actual_usd=plan.price.of(usage) if plan.price else None,
        manifest=manifest,
        unexplained=sum(part.unreadable for part in parts if part.unreadable > part.passing.get(MISSING, 0)),
        bad_rows=bad.tally.failed if bad else UNSET,
        indices=[state.index for state in plan.indices] if plan.indices else UNSET,
        **total,
    )


def _each_once(landed: Iterable[Landed]) -> list[Landed]:
    """Return the landed shards by round and index; of a shard that landed twice, the last."""
    once = {part.job.shard.uri if part.job.shard else part.job.key: part for part in landed}
    return sorted(once.values(), key=lambda part: (part.job.round, part.job.shard.index if part.job.shard else 0))


def _missing(records: int, ended: int) -> int:
    if ended > records:
        raise Terminal(
            f"{records} rows were planned, and {ended} have an end: some landed are not "
            "of this plan, so the run cannot be judged. Clear what lands its answers, with what follows"
        )
    return records - ended


_COUNTED = ("answered", "failed", "duplicates", "foreign", "unreadable", "zero_vectors", "truncated")
_SUMS = (*_COUNTED, "input_tokens", "output_tokens", "instance_seconds")


def reported(job: Job, state: RemoteState, records: int) -> ReportedJob:
    return ReportedJob(
        shard=job.shard.index if job.shard else None,
        round=job.round,
        task_id=job.task_id,
        provider_job_id=job.provider_job_id,
        input_file_id=job.input_file_id,
        model_id=job.model_id,
        key=job.key,
        attempt=job.attempt,
        state=state,
        records=records,
        shared_with=job.shared_with,
    )


def _absent(plan: Plan, parts: Sequence[Landed]) -> list[int]:
    """Return the indexes of the shards that never landed. A plan made from landed shards may have shards 3 and 4
    alone.
    """
    if len(parts) >= plan.shards:
        return []
    return sorted(set(range(plan.shards)) - {part.job.shard.index for part in parts if part.job.shard})


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
