"""The verdict on a cell, from what its run has left behind: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEFT_BEHIND = (".partial", ".part", ".tmp")


@dataclass(frozen=True)
class Paid:
    """A job in the provider's ledger: the rows paid for, as id and text, and their number. `rows` is None where the
    ledger has the number alone.
    """

    job_id: str
    input_file_id: str
    rows: tuple[tuple[str, str], ...] | None
    done: int


@dataclass(frozen=True)
class Evidence:
    """`planned` are the rows that the last preparation asked for. `files` are all files below the run's folder;
    `uploads` the input files at the provider, by id; `claims` the keys that were claimed; `keys` those of the jobs.
    """

    state: str
    planned: Mapping[str, str]
    jobs: Sequence[Paid]
    landed: Sequence[str]
    named: Sequence[str] = ()
    files: Sequence[str] = ()
    uploads: Sequence[str] = ()
    claims: Sequence[str] = ()
    keys: Sequence[str] = ()
    manifest: Sequence[str] = ()
    """Names of the files that the run's manifest names."""


@dataclass(frozen=True)
class Verdict:
    """`problems` is empty for a cell that ended well. `jobs` and `tokens` are what its run cost; `minutes` are those
    from the fault to the run's end. `cleared`: what failed was cleared once.
    """

    problems: tuple[str, ...]
    jobs: int = 0
    tokens: int = 0
    minutes: float = 0.0
    cleared: bool = False

    @property
    def ok(self) -> bool:
        return not self.problems


def problems_of(found: Evidence) -> list[str]:
    """Say all that is not as promised: the run's end, each row paid for once, each row there once, nothing left."""
    return [*_of_the_run(found), *_of_the_bill(found), *_of_the_rows(found), *_of_what_is_left(found)]


def _of_the_run(found: Evidence) -> list[str]:
    return [] if found.state == "success" else [f"the run ended {found.state}"]


def _of_the_bill(found: Evidence) -> list[str]:
    if any(job.rows is None for job in found.jobs):
        paid_for = sum(job.done for job in found.jobs)
        return [] if paid_for == len(found.planned) else [f"{paid_for} rows paid for instead of {len(found.planned)}"]
    paid = Counter(row for job in found.jobs for row in job.rows or ())
    twice = sorted({row_id for (row_id, _), times in paid.items() if times > 1})
    never = sorted(row_id for row_id, text in found.planned.items() if not paid[row_id, text])
    told = []
    if twice:
        told.append(f"paid more than once: {', '.join(twice)}")
    if never:
        told.append(f"never sent: {', '.join(never)}")
    return told


def _of_the_rows(found: Evidence) -> list[str]:
    told = []
    times = Counter([*found.landed, *found.named])
    if lost := sorted(set(found.planned) - set(times)):
        told.append(f"rows lost: {', '.join(lost)}")
    if foreign := sorted(set(times) - set(found.planned)):
        told.append(f"rows that nobody asked for: {', '.join(foreign)}")
    if several := sorted(row_id for row_id, count in times.items() if count > 1):
        told.append(f"rows more than once: {', '.join(several)}")
    return told


def _of_what_is_left(found: Evidence) -> list[str]:
    told = [f"left behind: {name}" for name in found.files if name.endswith(LEFT_BEHIND)]
    told += [f"left behind: {name}, which the manifest does not name" for name in _strays(found)]
    used = {job.input_file_id for job in found.jobs}
    told += [f"an upload without a job: {file_id}" for file_id in found.uploads if file_id not in used]
    told += [f"a claim without a job: {key}" for key in found.claims if key not in found.keys]
    return told


def _strays(found: Evidence) -> list[str]:
    results = [name for name in found.files if name.rsplit("/", 1)[-1].startswith(("results-", "failures-"))]
    return sorted(name for name in results if name.rsplit("/", 1)[-1] not in found.manifest)
