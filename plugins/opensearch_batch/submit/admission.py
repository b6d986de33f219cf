"""Admission: what is in flight at the provider, and whether one more job may join it.

The provider's own list is counted, so that all runs, backfills and other programs with the same key are in it. Between
counting and submitting nobody else may submit: that is what the one-slot pool of the submitting tasks is for.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from opensearch_batch.errors import Refused, SpecError, Transient, UnknownAnswer
from opensearch_batch.flow.jobs import ended
from opensearch_batch.flow.values import Value
from opensearch_batch.providers.protocol import Provider

UPLOADS = "batch-"
"""What the names of our input files begin with."""

ON_ITS_WAY_SECONDS = 900.0
"""So long an upload of ours without a job counts as one: its submission may be under way after its worker was killed,
or the provider's list of jobs may be behind. A guess on the safe side, not a published figure. Not seen is a job whose
upload the list of files does not show either.
"""


@dataclass(frozen=True)
class Limits:
    """Of one model over all runs; None: no limit."""

    jobs: int | None = None
    tokens: int | None = None

    def __bool__(self) -> bool:
        return self.jobs is not None or self.tokens is not None


@dataclass(frozen=True)
class Place:
    """What one job takes; `job_id` is None for an upload whose job does not show yet."""

    job_id: str | None
    file_id: str
    tokens: int


@dataclass(frozen=True)
class Wanted(Value):
    """A job that is to be submitted. `since` (epoch seconds) is its place in the line.

    `file_id`: its own upload, which is not in its own way. `below`: until `below_until` (epoch seconds) it waits for
    fewer other jobs than this, because the provider had no room beside so many.
    """

    name: str
    tokens: int
    file_id: str | None = None
    since: float = 0.0
    below: int | None = None
    below_until: float = 0.0


class NoRoom(Transient):
    """The job has to wait for its turn; nothing was uploaded or sent."""

    def __init__(self, wanted: Wanted, others: int) -> None:
        super().__init__(f"{wanted.name} waits for its turn: at least {others} other jobs are in flight")
        self.wanted = wanted


class Listing(Protocol):
    """The part of a ProviderStore that counting needs."""

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]: ...

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]: ...

    def file_bytes(self, file_id: str) -> int | None: ...


def in_flight(store: Listing, provider: Provider, model: str | None, limits: Limits, now: float) -> list[Place]:
    """Every job that may be live, of this model or of one not known yet; of any model where `model` is None.

    Reads the provider's lists as far back as a job can live, but no further than the limit of jobs: the live ones are
    mostly the newest, and a list may have thousands that have ended. An input file that the provider does not have any
    more counts as nothing.
    """
    try:
        return _in_flight(store, provider, model, limits, now)
    except Refused as error:
        raise Refused(
            f"what is in flight cannot be counted, so no limit can hold: {error}. Give the key the right to list "
            "batches and files, or take limits.max_jobs_in_flight and limits.max_enqueued_tokens away",
            status=error.status,
        ) from None


def _in_flight(store: Listing, provider: Provider, model: str | None, limits: Limits, now: float) -> list[Place]:
    live: list[tuple[str, str]] = []
    read = set()
    for document in store.recent_jobs(now - provider.JOB_LIFE_SECONDS):
        file_id = str(provider.input_file_id(document))
        read.add(file_id)
        if _may_be_live(document, provider, model):
            live.append((str(provider.job_id(document)), file_id))
        if limits.jobs is not None and len(live) >= limits.jobs:
            return [Place(job_id, file_id, 0) for job_id, file_id in live]
    sizes, places = {}, []
    for upload in store.recent_uploads(
        now - (ON_ITS_WAY_SECONDS if limits.tokens is None else provider.JOB_LIFE_SECONDS)
    ):
        sizes[upload["id"]] = upload["bytes"]
        ours = upload["filename"].startswith(UPLOADS) and upload["created_at"] > now - ON_ITS_WAY_SECONDS
        if ours and upload["id"] not in read:
            places.append(Place(None, upload["id"], tokens_of(upload["bytes"])))
    if limits.tokens is not None:
        sizes |= {file_id: store.file_bytes(file_id) or 0 for _, file_id in live if file_id not in sizes}
    return [Place(job_id, file_id, tokens_of(sizes.get(file_id, 0))) for job_id, file_id in live] + places


def _may_be_live(document: Mapping[str, Any], provider: Provider, model: str | None) -> bool:
    try:
        remote = provider.read_job(document)
    except UnknownAnswer:
        return True
    return not ended(remote) and (model is None or not remote.model or provider.is_same_model(remote.model, model))


def tokens_of(size_bytes: int) -> int:
    """A quarter of an input file's bytes: known of every job there is, the wrapping of the requests included."""
    return -(-size_bytes // 4)


def has_room(limits: Limits, places: list[Place], wanted: Wanted, now: float) -> bool:
    """Raise SpecError for a job that never has: it alone is over the limit of tokens."""
    if limits.tokens is not None and wanted.tokens > limits.tokens:
        raise SpecError(
            f"{wanted.name} counts as {wanted.tokens} tokens (its bytes / 4), and max_enqueued_tokens is "
            f"{limits.tokens}: lower limits.max_bytes to {4 * limits.tokens}"
        )
    others = others_of(places, wanted)
    if limits.jobs is not None and len(others) >= limits.jobs:
        return False
    if limits.tokens is not None and sum(place.tokens for place in others) + wanted.tokens > limits.tokens:
        return False
    return not (others and wanted.below is not None and now < wanted.below_until and len(others) >= wanted.below)


def others_of(places: list[Place], wanted: Wanted) -> list[Place]:
    return [place for place in places if place.job_id or place.file_id != wanted.file_id]


@dataclass
class Admission:
    """For one stay in the pool: counts once, then adds what it admits. `below` as in Wanted.

    Threads may share it.
    """

    limits: Limits
    count: Callable[[], list[Place]]
    below: int | None = None
    below_until: float = 0.0
    now: Callable[[], float] = time.time
    others: int | None = None
    """How many other jobs there were when the last one was admitted."""
    _places: list[Place] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, name: str, size_bytes: int, file_id: str | None) -> None:
        """Raise NoRoom, or SpecError where there never is any."""
        now = self.now()
        wanted = Wanted(name, tokens_of(size_bytes), file_id, now, self.below, self.below_until)
        with self._lock:
            if self._places is None:
                self._places = self.count()
            others = others_of(self._places, wanted)
            if not has_room(self.limits, self._places, wanted, now):
                raise NoRoom(wanted, len(others))
            self.others = len(others)
            self._places = [*others, Place(f"admitted {name}", file_id or "", wanted.tokens)]


def pool_name(registered_as: str) -> str:
    """The one-slot pool that submits of this model pass."""
    return "opensearch_batch_" + re.sub(r"[^\w.-]", "_", registered_as)


def pool_command(pool: str) -> str:
    return f"airflow pools set {pool} 1 'batch submits of one model, one at a time'"
