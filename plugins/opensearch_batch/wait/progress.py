"""Progress: how far a bundle is. n of N rows, how fast, how long still."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opensearch_batch.flow.jobs import Job, Outcome, RemoteJob, ended
from opensearch_batch.flow.values import Value

SAMPLES = 10
"""Looks that the rate is of: a provider is fast at night and slow in the morning."""


class Progress(Value, frozen=True):
    """How far a bundle is. `rows_done` counts failed rows too. The rate is None until known; the time left is None
    without a rate.

    Rows are the shards' rows. Providers count requests: the share of requests done is the share of rows done.
    """

    rows: int
    rows_done: int
    rows_failed: int
    jobs: int
    jobs_ended: int
    rows_per_second: float | None = None
    seconds_left: float | None = None

    def __str__(self) -> str:
        failed = f", {self.rows_failed} failed" if self.rows_failed else ""
        jobs = f", {self.jobs_ended} of {self.jobs} jobs ended" if self.jobs > 1 else ""
        rate = f"; {self.rows_per_second:.3g} rows/s" if self.rows_per_second else ""
        left = f", about {duration(self.seconds_left)} left" if self.seconds_left else ""
        return f"{self.rows_done} of {self.rows} rows done{failed}{jobs}{rate}{left}"


class Looked(Value, frozen=True):
    """A bundle at its last look. `rows_done` has the rows done of each job by the provider's id; `seen_at` is in epoch
    seconds.
    """

    seen_at: float
    progress: Progress
    rows_done: dict[str, int]


@dataclass
class Track:
    """The last look at every job of a bundle; `at` adds a sample to the rate."""

    jobs: Iterable[Job]
    _rows: dict[str, int] = field(init=False)
    _seen: dict[str, tuple[int, int, int, bool]] = field(init=False, default_factory=dict)
    _samples: deque[tuple[float, int]] = field(init=False, default_factory=lambda: deque(maxlen=SAMPLES))

    def __post_init__(self) -> None:
        self._rows = {job.provider_job_id: _records(job) for job in self.jobs}

    def note(self, job: Job, remote: RemoteJob) -> None:
        self._seen[job.provider_job_id] = (*_rows(self._rows[job.provider_job_id], remote), ended(remote))

    @property
    def rows_done(self) -> dict[str, int]:
        """By job; a job without a look has none."""
        return {id: self._seen[id][1] if id in self._seen else 0 for id in self._rows}

    def at(self, seconds: float) -> Progress:
        """Return the progress at `seconds` of any clock, the same clock in all calls."""
        rows = sum(self._seen[id][0] if id in self._seen else known for id, known in self._rows.items())
        done = sum(seen[1] for seen in self._seen.values())
        self._samples.append((seconds, done))
        (first_at, first), rate = self._samples[0], None
        if seconds > first_at and done > first:
            rate = (done - first) / (seconds - first_at)
        open_rows = sum(
            self._seen[id][0] - self._seen[id][1] if id in self._seen else known
            for id, known in self._rows.items()
            if not (id in self._seen and self._seen[id][3])
        )
        return Progress(
            rows=rows,
            rows_done=done,
            rows_failed=sum(seen[2] for seen in self._seen.values()),
            jobs=len(self._rows),
            jobs_ended=sum(seen[3] for seen in self._seen.values()),
            rows_per_second=rate,
            seconds_left=open_rows / rate if rate else None,
        )


def of_outcomes(outcomes: Sequence[Outcome], waited_seconds: float | None) -> Progress:
    """Return the progress of ended jobs, with the rate of the whole wait; None without a wait."""
    counts = [_rows(_records(outcome.job), outcome) for outcome in outcomes]
    rows, done, failed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    rate = done / waited_seconds if waited_seconds else None
    return Progress(rows, done, failed, len(outcomes), len(outcomes), rate, 0.0)


def _records(job: Job) -> int:
    return job.shard.records if job.shard else 0


def _rows(known: int, seen: RemoteJob | Outcome) -> tuple[int, int, int]:
    """Return the numbers of all rows, done rows and failed rows; a request may hold several rows."""
    requests = seen.requests_total
    rows = known or requests
    if not requests:
        return rows, 0, 0
    finished = min(requests, seen.requests_done + seen.requests_failed)
    return rows, rows * finished // requests, rows * min(requests, seen.requests_failed) // requests


def duration(seconds: float) -> str:
    """In words: "40 s", "12 min", "1 h 5 min"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
