"""The provider's files: input files of this package with a wanted row, and the outputs of their jobs. Such a file goes
whole, because nobody can edit a file at a provider.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson
from msgspec.structs import replace

from opensearch_batch.erase.proof import Place
from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.flow.jobs import RemoteJob, ended
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.land.report import ReportedJob
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.submit.names import key_of

log = logging.getLogger(__name__)

NOT_FOUND = 404
ENDS_SECONDS = 60.0
"""Pause before a cancelled job is looked at again."""


@dataclass(frozen=True)
class Wanted:
    """What a wanted row is known by at a provider: `names` of requests, `hashes` of texts with the spec's model; `keys`
    of jobs all of whose files go, and `known` those of this spec's runs. Requests of other jobs than `whole_rows` may
    be named as chunks of `rows` are. `sharers` are by input file the keys of this spec's runs that have landed another
    run's job: the file's name has that run's key. `had_files` are ids of jobs that have landed, and outputs that an
    earlier try has seen: where such a job has no files, they were deleted.
    """

    names: Collection[str]
    rows: RowNames
    hashes: Collection[str]
    keys: Collection[str]
    known: Collection[str]
    whole_rows: Collection[str]
    sharers: Mapping[str, Collection[str]]
    model: bytes
    had_files: Collection[str] = ()

    def has(self, name: str, keys: Collection[str]) -> bool:
        """Whether a request of a job, which has these keys, is one of a wanted row."""
        return name in self.names or (not _any_of(keys, self.whole_rows) and name in self.rows)


@dataclass
class ProviderFile:
    """An input file, or without `name` only outputs. `sure`: the rows are of this spec, by the job or by the text."""

    id: str
    name: str
    rows: int
    found: int
    sure: bool = True
    jobs: list[RemoteJob] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def running(self) -> list[RemoteJob]:
        return [job for job in self.jobs if not ended(job)]

    def places(self) -> Iterator[Place]:
        note = "" if self.sure else "the id is the same, and neither the run nor the text is known"
        if self.name:
            yield Place("provider file", f"{self.id} ({self.name})", self.rows, self.found, note=note)
        for output in self.outputs:
            yield Place("provider file", output, 0, 1, note="output of a job with the rows: removed whole")


def look_at_provider(
    store: ProviderStore, provider: Provider, wanted: Wanted, landed: Iterable[ReportedJob]
) -> Iterator[ProviderFile]:
    """Yield every input file of this package, read where the manifests do not tell. Of `landed`, the jobs of runs with
    wanted rows, also the outputs whose input file is gone: nothing tells any more whose rows they have.
    """
    seen, jobs = set(), set()
    for upload in store.recent_uploads(0.0):
        key = key_of(upload["filename"])
        if key is None:
            continue
        if (made := _looked_into(store, provider, wanted, upload["id"], key)) is None:
            continue
        seen.add(upload["id"])
        made.name = upload["filename"]
        if made.found:
            made.jobs = [_settled(provider.read_job(each), wanted) for each in store.find_jobs(made.id)]
            made.outputs = [each for job in made.jobs for each in job.outputs if _is_there(store, each)]
        yield made
    for job in landed:
        if job.input_file_id in seen or job.provider_job_id in jobs:
            continue
        jobs.add(job.provider_job_id)
        remote = _job(store, provider, job)
        if remote and (outputs := [each for each in remote.outputs if _is_there(store, each)]):
            yield ProviderFile(job.input_file_id or "", "", 0, 1, jobs=[remote], outputs=outputs)


def _looked_into(
    store: ProviderStore, provider: Provider, wanted: Wanted, file_id: str, key: str
) -> ProviderFile | None:
    """Return None for a file that is gone since it was listed."""
    keys = {key, *wanted.sharers.get(file_id, ())}
    if _any_of(keys, wanted.keys):
        return ProviderFile(file_id, "", 0, 1)
    rows = found = 0
    sure = _any_of(keys, wanted.known)
    try:
        for raw in filter(None, map(bytes.strip, store.lines(file_id))):
            line = orjson.loads(raw)
            rows += 1
            if wanted.has(provider.request_id(line), keys):
                found += 1
                sure = sure or any(text_hash(wanted.model, text) in wanted.hashes for text in provider.texts(line))
    except Refused as error:
        if error.status != NOT_FOUND or _is_there(store, file_id):
            raise
        return None
    return ProviderFile(file_id, "", rows, found, sure)


def _settled(job: RemoteJob, wanted: Wanted) -> RemoteJob:
    """A job that has ended and has no files waits for them, except where they were there and are deleted."""
    had_files = any(each in wanted.had_files for each in (job.id, *job.outputs))
    return dataclasses.replace(job, state="completed") if job.state == "settling" and had_files else job


def _any_of(keys: Collection[str], others: Collection[str]) -> bool:
    return any(key in others for key in keys)


def still_there(store: ProviderStore, files: Iterable[ProviderFile]) -> Iterator[Place]:
    """Yield the removed files that the provider still has."""
    for each in (each for each in files if each.found):
        for place, file_id in zip(each.places(), [*([each.id] if each.name else []), *each.outputs], strict=True):
            yield replace(place, found=int(_is_there(store, file_id)))


def _is_there(store: ProviderStore, file_id: str) -> bool:
    return store.file_bytes(file_id) is not None


def _job(store: ProviderStore, provider: Provider, job: ReportedJob) -> RemoteJob | None:
    try:
        return provider.read_job(store.get_job(job.provider_job_id))
    except Refused as error:
        if error.status != NOT_FOUND:
            raise
        return None


def cancel_running(store: ProviderStore, files: Iterable[ProviderFile]) -> None:
    """Cancel the jobs with wanted rows. Raise Unavailable until they have ended: what they have answered is a file
    then.
    """
    waiting = []
    for job in (job for each in files for job in each.running):
        if job.state == "running":
            store.cancel_job(job.id)
            log.info("cancelled job %s: it has rows that are to be erased", job.id)
        waiting.append(job.id)
    if waiting:
        raise Unavailable(
            f"jobs {', '.join(waiting)} are cancelled and have not ended yet; nothing else is removed before. The next "
            "try goes on",
            retry_after_seconds=ENDS_SECONDS,
        )


def remove_files(store: ProviderStore, files: Iterable[ProviderFile]) -> None:
    """Delete outputs first: by its input file a later try finds a job again."""
    for each in files:
        if each.found:
            for output in each.outputs:
                store.delete_file(output)
            if each.name:
                store.delete_file(each.id)
