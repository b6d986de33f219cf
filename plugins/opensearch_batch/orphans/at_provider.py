"""Jobs of this package that a provider still runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from opensearch_batch.errors import Unavailable, UnknownAnswer
from opensearch_batch.flow.jobs import RemoteJob, ended, is_running, status_line
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.submit.names import key_of


@dataclass(frozen=True)
class RunningJob:
    """A job by the key in the name of its input file; `told` is how far it is, in words. An `ending` job needs no
    cancel.
    """

    id: str
    key: str
    told: str
    ending: bool = False


def running_jobs(store: ProviderStore, provider: Provider, now: float) -> Iterator[RunningJob]:
    """Yield the jobs that have not ended and whose input file this package has uploaded, newest first. A job of another
    program, and a job whose input file is gone, is passed over.
    """
    keys = {each["id"]: key for each in store.recent_uploads(0.0) if (key := key_of(each["filename"]))}
    for document in store.recent_jobs(now - provider.JOB_LIFE_SECONDS):
        key, job_id = keys.get(str(provider.input_file_id(document))), provider.job_id(document)
        if key is None or job_id is None:
            continue
        try:
            remote: RemoteJob = provider.read_job(document)
        except (UnknownAnswer, Unavailable) as error:
            yield RunningJob(job_id, key, str(error))
            continue
        if not ended(remote):
            yield RunningJob(job_id, key, status_line(remote), ending=not is_running(remote))
