"""Admission: count the jobs in flight at the provider, and decide whether one more job may be submitted.

The count reads the provider's own list, with the jobs of all runs, backfills and other programs of the same key. Nobody
else may submit between count and submission: the submitting tasks share a pool of one slot.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from opensearch_batch.errors import Refused, SpecError, Transient, Unavailable, UnknownAnswer
from opensearch_batch.flow.jobs import ended
from opensearch_batch.flow.values import Value
from opensearch_batch.providers.protocol import Provider

UPLOADS = "batch-"
"""Prefix of our input files' names."""

ON_ITS_WAY_SECONDS = 900.0
"""An upload of ours without a job counts as a job for so long: the submission may be under way after a worker was
killed, or the provider's list of jobs may be behind. A guess on the safe side, not a published figure. A job is not
seen where the list of files does not show the job's upload either.
"""


@dataclass(frozen=True)
class Limits:
    """Limits of one model over all runs; None: no limit."""

    jobs: int | None = None
    tokens: int | None = None

    def __bool__(self) -> bool:
        return self.jobs is not None or self.tokens is not None


@dataclass(frozen=True)
class LiveJob:
    """A job counted against the limits; `job_id` is None for an upload whose job does not show yet."""

    job_id: str | None
    file_id: str
    tokens: int


TRY_AGAIN_SECONDS = 300.0
"""The pause between two tries where only a try shows whether what is in a job's way has ended."""


class Wanted(Value, frozen=True):
    """A job to be submitted. `since` (epoch seconds) orders the waiting jobs, oldest first.

    `file_id`: the job's own upload, not counted against the job. `below`: until `below_until` (epoch seconds) the job
    waits for fewer other jobs than `below`, because the provider turned the job away beside so many. `counted` are the
    tokens by the job's bytes where images make them more: other jobs are known by their bytes, and are taken to have
    images like the job's.

    With `not_before` (epoch seconds) nothing is counted: the submission is tried again then. `awaits` says for what it
    waits, `fruitless_since` (epoch seconds) since when the tries of its task have brought no job.
    """

    name: str
    tokens: int
    file_id: str | None = None
    since: float = 0.0
    below: int | None = None
    below_until: float = 0.0
    counted: int | UnsetType = UNSET
    not_before: float | UnsetType = UNSET
    awaits: str | UnsetType = UNSET
    fruitless_since: float | UnsetType = UNSET

    @property
    def by_bytes(self) -> int:
        return self.counted or self.tokens

    def beside(self, tokens: int) -> int:
        """Return the tokens of other jobs, which count so many by their bytes."""
        return -(-tokens * self.tokens // (self.by_bytes or 1))


class MustWait(Transient):
    """The job has to wait, for its turn or for another try; no job was made."""

    def __init__(self, wanted: Wanted, why: str) -> None:
        super().__init__(f"{wanted.name} {why}")
        self.wanted = wanted


def wait_for_turn(wanted: Wanted, others: int) -> MustWait:
    return MustWait(wanted, f"waits for its turn: at least {others} other jobs are in flight")


def wait_for_try(name: str, awaits: str, why: str, now: float) -> MustWait:
    """Return the wait for what ends by itself, where only another try of the submission shows the end: no count of jobs
    at the provider tells of the cluster's places, of a quota that other models share, or of another run's submission.
    """
    wanted = Wanted(name, 0, since=now, not_before=now + TRY_AGAIN_SECONDS, awaits=awaits)
    return MustWait(wanted, f"waits for {awaits}: {why}")


class ProviderLists(Protocol):
    """The lists of a ProviderStore: recent jobs, recent uploads and their sizes."""

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]: ...

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]: ...

    def file_bytes(self, file_id: str) -> int | None: ...


def in_flight(store: ProviderLists, provider: Provider, model: str | None, limits: Limits, now: float) -> list[LiveJob]:
    """Return every job that may be live, of this model or of an unknown model; of any model where `model` is None.

    Reads the provider's lists as far back as a job can live, but no further than the limit of jobs: live jobs are
    mostly the newest, and a list may have thousands of ended jobs. An input file that the provider has deleted counts
    as nothing.
    """
    try:
        return _in_flight(store, provider, model, limits, now)
    except Refused as error:
        raise Refused(
            f"what is in flight cannot be counted, so no limit can hold: {error}. Give the key the right to list "
            "batches and files, or take limits.max_jobs_in_flight and limits.max_enqueued_tokens away",
            status=error.status,
        ) from None


def _in_flight(
    store: ProviderLists, provider: Provider, model: str | None, limits: Limits, now: float
) -> list[LiveJob]:
    live: list[tuple[str, str]] = []
    read = set()
    for document in store.recent_jobs(now - provider.JOB_LIFE_SECONDS):
        file_id = str(provider.input_file_id(document))
        read.add(file_id)
        if _may_be_live(document, provider, model):
            live.append((str(provider.job_id(document)), file_id))
        if limits.jobs is not None and len(live) >= limits.jobs:
            return [LiveJob(job_id, file_id, 0) for job_id, file_id in live]
    sizes, uploading = {}, []
    for upload in store.recent_uploads(
        now - (ON_ITS_WAY_SECONDS if limits.tokens is None else provider.JOB_LIFE_SECONDS)
    ):
        sizes[upload["id"]] = upload["bytes"]
        ours = upload["filename"].startswith(UPLOADS) and upload["created_at"] > now - ON_ITS_WAY_SECONDS
        if ours and upload["id"] not in read:
            uploading.append(LiveJob(None, upload["id"], tokens_of(upload["bytes"])))
    if limits.tokens is not None:
        sizes |= {file_id: store.file_bytes(file_id) or 0 for _, file_id in live if file_id not in sizes}
    return [LiveJob(job_id, file_id, tokens_of(sizes.get(file_id, 0))) for job_id, file_id in live] + uploading


def _may_be_live(document: Mapping[str, Any], provider: Provider, model: str | None) -> bool:
    try:
        remote = provider.read_job(document)
    except (UnknownAnswer, Unavailable):
        return True
    return not ended(remote) and (model is None or not remote.model or provider.is_same_model(remote.model, model))


def tokens_of(size_bytes: int) -> int:
    """Return a quarter of an input file's bytes: known of every job, the wrapping of the requests included."""
    return -(-size_bytes // 4)


def may_submit(limits: Limits, live: list[LiveJob], wanted: Wanted, now: float) -> bool:
    """Tell whether the limits allow the job now. Raise SpecError for a job over the limit of tokens alone."""
    if limits.tokens is not None and wanted.tokens > limits.tokens:
        raise SpecError(
            f"{wanted.name} counts as {wanted.tokens} tokens ({_counted(wanted)}), and max_enqueued_tokens is "
            f"{limits.tokens}: lower limits.max_bytes to {4 * limits.tokens}"
        )
    others = others_of(live, wanted)
    if limits.jobs is not None and len(others) >= limits.jobs:
        return False
    if limits.tokens is not None and wanted.beside(sum(job.tokens for job in others)) + wanted.tokens > limits.tokens:
        return False
    return not (others and wanted.below is not None and now < wanted.below_until and len(others) >= wanted.below)


def _counted(wanted: Wanted) -> str:
    return "its bytes / 4, and its images" if wanted.counted else "its bytes / 4"


def others_of(live: list[LiveJob], wanted: Wanted) -> list[LiveJob]:
    return [job for job in live if job.job_id or job.file_id != wanted.file_id]


@dataclass
class Admission:
    """Admits jobs during one stay in the pool: counts once, then adds every admitted job. `below` as in Wanted.

    Threads may share an Admission.
    """

    limits: Limits
    count: Callable[[], list[LiveJob]]
    below: int | None = None
    below_until: float = 0.0
    now: Callable[[], float] = time.time
    others: int | None = None
    """Number of other jobs in flight when the last job was admitted."""
    _live: list[LiveJob] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, name: str, size_bytes: int, file_id: str | None, tokens: int = 0) -> None:
        """`tokens` is the job's estimate, and counts where images make it more than the bytes do. Raise MustWait, or
        SpecError for a job over the limit of tokens alone.
        """
        now, counted = self.now(), tokens_of(size_bytes)
        wanted = Wanted(name, max(tokens, counted), file_id, now, self.below, self.below_until)
        if tokens > counted:
            wanted = replace(wanted, counted=counted)
        with self._lock:
            if self._live is None:
                self._live = self.count()
            others = others_of(self._live, wanted)
            if not may_submit(self.limits, self._live, wanted, now):
                raise wait_for_turn(wanted, len(others))
            self.others = len(others)
            self._live = [*others, LiveJob(f"admitted {name}", file_id or "", counted)]


def pool_name(registered_as: str) -> str:
    """Name the one-slot pool that submits of this model pass."""
    return "opensearch_batch_" + re.sub(r"[^\w.-]", "_", registered_as)


def pool_command(pool: str) -> str:
    return f"airflow pools set {pool} 1 'batch submits of one model, one at a time'"
