"""Submission: one job for each shard, however often a task runs, is killed or is cleared.

Before a submission the job is looked for: in the notes of an earlier try of this task, in the cluster's tasks, at the
provider. Every job found counts, and only a job that ended with nothing to fetch makes way for a new attempt. The input
file anchors the search, because every provider names the file in a job's document and every connector body sends the
file's id: the file's name carries the shard's key and the attempt.

An error is no proof that nothing was submitted. After an OutcomeUnknown the job is looked for until the cluster's own
time-outs must have passed; only then may the same file be submitted again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from msgspec.structs import replace

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import BATCH, Call
from opensearch_batch.errors import BatchError, OutcomeUnknown, Refused, SpecError, Transient, Unavailable
from opensearch_batch.flow.jobs import Job, RemoteJob, is_spent
from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.storage import remove
from opensearch_batch.submit.admission import UPLOADS, Admission
from opensearch_batch.submit.claims import SharedJob
from opensearch_batch.submit.names import file_name, hash_key, shard_key
from opensearch_batch.submit.note import Memory, Note, noted
from opensearch_batch.submit.settle import connector_of, settle_seconds_of
from opensearch_batch.submit.target import Found, Target, latest_upload
from opensearch_batch.submit.task_limit import free_ended_tasks
from opensearch_batch.submit.vacancy import Vacancy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submitter:
    """Submits to one model for one run; `run` names the run that the jobs belong to.

    `parameters` override the connector's own, as in any _batch_predict. `settle_seconds`: None asks the connector.
    `is_there` tells whether an object exists at a URI; without `is_there` no repair round is known to have a shard's
    rows. `admission` is asked before any new upload or submission, and may raise MustWait. `claim` is told the shard,
    the key and the input file before each submission of a shard, `shared` before anything is uploaded: both may raise,
    and may return another run's job, which then counts for the shard.

    Once a submission is refused for want of room, MustWait is raised for it, and for each later one of this Submitter
    before its upload: earlier jobs are still found.
    """

    send: Callable[[Call], Any]
    store: ProviderStore
    provider: Provider
    memory: Memory
    run: str
    model_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settle_seconds: float | None = None
    admission: Admission | None = None
    look_seconds: float = 15.0
    is_there: Callable[[str], bool] = lambda uri: False
    claim: Callable[[Shard, str, str], SharedJob | None] = lambda shard, key, file_id: None
    shared: Callable[[Shard, str, str | None], SharedJob | None] = lambda shard, key, file_id: None
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _vacancy: Vacancy = field(default_factory=Vacancy)

    def submit(self, shard: Shard) -> Job:
        """Return the shard's job: an earlier job if any, else a new job. One thread at a time a shard."""
        run = f"{self.run}|{json.dumps(self.parameters, sort_keys=True)}" if self.parameters else self.run
        return self._job_of(shard_key(run, shard), shard, None)

    def submit_again(self, job: Job) -> Job:
        """Return the job that counts for the rows of another task's `job`: a new job if `job` is spent."""
        if job.shard is None:
            raise SpecError(f"{job.name} has no shard to submit again")
        return self._job_of(job.key, job.shard, Note(job.attempt, job.input_file_id, job=job))

    def _job_of(self, key: str, shard: Shard, first_note: Note | None) -> Job:
        note = noted(self.memory, key) or first_note
        if job := self._noted_job(note, shard.name, shard):
            return job
        if note and note.job and note.job.shared_with:  # its input file is another run's
            note = Note(note.job.attempt + 1, None)
        attempt, file_id = latest_upload(key, note, self._uploads)
        if file_id:
            target = Target(key, attempt, file_id, shard)
            # Another task may have uploaded a later attempt than this one noted, and be submitting it.
            sent_at = note.sent_at if note and attempt == note.attempt else self.now()
            found = self._settle(target, sent_at)
            if found and (found.usable or self._handed_on(key, shard)):
                log.info("%s: found again as %s, nothing sent again", shard.name, found.job.name)
                return self._note(found.job)
            if found:
                attempt, file_id = attempt + 1, None
        if shared := self.shared(shard, key, file_id):
            return self._take(shared, key, attempt, file_id, shard)
        self._admit(shard.name, shard.bytes, file_id, shard.estimated_tokens)
        if not file_id:
            file_id = self.store.upload(shard, file_name(key, attempt))
            if note is None or note.job is None:
                # Nothing was sent yet: after a refused claim the next try need not wait.
                self.memory.set(key, Note(attempt, file_id).to_dict())
        if shared := self.claim(shard, key, file_id):
            return self._take(shared, key, attempt, file_id, shard)
        return self._submit(Target(key, attempt, file_id, shard))

    def _take(self, shared: SharedJob, key: str, attempt: int, upload: str | None, shard: Shard) -> Job:
        """Note the job, and only then remove the claim and the `upload` that it stands for: a try that was killed in
        between must not go on with a file that is gone.
        """
        target = Target(key, attempt, shared.input_file_id, shard)
        job = replace(self._job(target, self._task_of(shared.job_id), shared.job_id), shared_with=shared.run)
        log.info("%s: the run %s has sent the same rows: shared is %s, nothing sent", shard.name, shared.run, job.name)
        self._note(job)
        if upload:
            remove(shared.own_claim_uri)
            self.store.delete_file(upload)
        return job

    def submit_parameters(self) -> Job:
        """Submit one job from `parameters` alone; `parameters` or the connector name an input file at the provider.

        Earlier jobs may have used the file: jobs of the file at this task's first look are not taken for ours.
        """
        key = hash_key(self.run, json.dumps(self.parameters, sort_keys=True))
        note = noted(self.memory, key)
        if job := self._noted_job(note, "parameters"):
            return job
        file_id = self.provider.input_file_id(self.parameters)
        if file_id is None:
            file_id = self.provider.input_file_id(connector_of(self.send, self.model_id).get("parameters") or {})
        if file_id is None:
            raise SpecError("neither parameters nor the connector name an input file, and no shards are given")
        note = note or Note(1, None)
        before = note.known
        if before is None:
            before = [job_id for each in self.store.find_jobs(file_id) if (job_id := self.provider.job_id(each))]
        spent = [note.job.provider_job_id] if note.job else []
        target = Target(key, note.attempt + len(spent), file_id, None, (*before, *spent))
        if note.sent_at and (found := self._settle(target, note.sent_at)):
            return self._note(found.job, target.known)
        self._admit(target.name, (self.store.file_bytes(file_id) or 0) if self.admission else 0, file_id)
        return self._submit(target)

    def _admit(self, name: str, size_bytes: int, file_id: str | None, tokens: int = 0) -> None:
        self._vacancy.refuse_where_full(name, self.now())
        if self.admission:
            self.admission.admit(name, size_bytes, file_id, tokens)

    @property
    def _patience(self) -> float:
        with self._turn:
            return self._patience_once

    @cached_property
    def _patience_once(self) -> float:
        return settle_seconds_of(self.send, self.model_id) if self.settle_seconds is None else self.settle_seconds

    @property
    def _uploads(self) -> dict[str, str]:
        """Find uploads once a task, not once a shard. cached_property itself would let each thread list."""
        with self._turn:
            return self._uploads_once

    @cached_property
    def _uploads_once(self) -> dict[str, str]:
        return self.store.find_uploads(UPLOADS)

    def _noted_job(self, note: Note | None, name: str, shard: Shard | None = None) -> Job | None:
        if note is None or note.job is None:
            return None
        job = note.job
        if shard:  # the same rows, but they may lie elsewhere now
            job = replace(job, shard=shard)
        if is_spent(self._look(job)) and not self._handed_on(job.key, shard):
            log.warning("%s: %s ended with nothing to fetch; this is a new attempt", name, job.name)
            return None
        log.info("%s: submitted before as %s", name, job.name)
        return job

    def _handed_on(self, key: str, shard: Shard | None) -> bool:
        """Tell whether a repair round has the rows of this shard's job; another attempt would send the rows twice."""
        return shard is not None and self.is_there(shard.handed_on_uri(key))

    def _submit(self, target: Target) -> Job:
        """Raise MustWait where there is no room for the job now, and TaskLimit where no room comes by itself."""
        free = partial(free_ended_tasks, self.send, self.store, self.provider)
        return self._vacancy.take(target.name, partial(self._submit_once, target), free, self.now)

    def _submit_once(self, target: Target) -> Job:
        note = Note(target.attempt, target.file_id, list(target.known))
        self.memory.set(target.key, replace(note, sent_at=self.now()).to_dict())
        parameters = {**self.parameters, **self.provider.submit_parameters(target.file_id)}
        try:
            task_id, job_id = self._send(parameters)
        except OutcomeUnknown as error:
            return self._found_again(target, error)
        except BatchError:
            self.memory.set(target.key, note.to_dict())
            raise
        job = self._job(target, task_id, job_id)
        log.info("%s: submitted as %s, file %s", target.name, job.name, target.file_id)
        return self._note(job, target.known)

    def _send(self, parameters: Mapping[str, Any]) -> tuple[str, str]:
        """Return ids of the task and of the provider's job. Raise OutcomeUnknown for a reply without the job's id."""
        try:
            answer = self.send(ml_commons.batch_predict(self.model_id, parameters))
        except Refused as error:
            if not (meant := self.provider.refusal(str(error))):
                raise
            raise meant(str(error), status=error.status) from None
        job_id = self.provider.job_id(answer.get("remote_job") or {})
        if not job_id:  # before 2.18 there was no remote_job
            raise OutcomeUnknown(f"task {answer.get('task_id')} came without its job.")
        return str(answer["task_id"]), job_id

    def _found_again(self, target: Target, error: OutcomeUnknown) -> Job:
        """Look for the job of a submission whose reply did not name the job. The time counts from now: between the note
        and the request the process may have stood still, as its machine did.
        """
        log.warning("%s: %s Looking for its job for %.0f s.", target.name, error, self._patience)
        found = self._settle(target, self.now())
        if not found:
            raise Unavailable(f"{target.name}: {error} No job of file {target.file_id} showed up; a retry submits it.")
        log.info("%s: found: %s, nothing sent again", target.name, found.job.name)
        return self._note(found.job, target.known)

    def _settle(self, target: Target, sent_at: float | None) -> Found | None:
        """Look until the job shows or a submission begun at `sent_at` must have ended; None: none was begun."""
        until = (sent_at + self._patience) if sent_at else 0.0
        while True:
            if found := self._find(target):
                return found
            if self.now() >= until:
                return None
            self.sleep(min(self.look_seconds, max(0.0, until - self.now())))

    def _find(self, target: Target) -> Found | None:
        """Find the file's usable job, else a spent job. The provider also knows jobs without a task.

        Without a reply from the cluster only a usable job counts as found.
        """
        tasks: dict[str, str] = {}
        no_answer: Transient | None = None
        if query := self.provider.find_query(target.file_id):
            try:
                tasks = self._tasks(query)
            except Transient as error:
                no_answer = error
        jobs = {job_id: self._job(target, task_id, job_id) for job_id, task_id in tasks.items()}
        ours = [job for job_id, job in jobs.items() if job_id not in target.known]
        for job in ours:
            if not is_spent(self._look(job)):
                return Found(job, usable=True)
        for remote in map(self.provider.read_job, self.store.find_jobs(target.file_id)):
            if remote.id not in target.known:
                ours.append(jobs.get(remote.id) or self._job(target, self._task_of(remote.id), remote.id))
                if not is_spent(remote):
                    return Found(ours[-1], usable=True)
        if no_answer:
            raise no_answer
        return Found(ours[-1], usable=False) if ours else None

    def _tasks(self, query: Mapping[str, Any]) -> dict[str, str]:
        """Task ids by job id."""
        hits = [hit for hit in self.send(ml_commons.search_tasks(query)) if hit.source.get("task_type") == BATCH]
        found = {self.provider.job_id(hit.source.get("remote_job") or {}): hit.id for hit in hits}
        return {job_id: task_id for job_id, task_id in found.items() if job_id}

    def _task_of(self, job_id: str) -> str | None:
        """Return the job's task; None without a task or a reply from the cluster: the wait then asks the provider."""
        try:
            return self._tasks(self.provider.task_query(job_id)).get(job_id)
        except Transient as error:
            log.warning("job %s: no answer from the cluster about its task: %s", job_id, error)
            return None

    def _look(self, job: Job) -> RemoteJob:
        return self.provider.read_job(self.store.get_job(job.provider_job_id))

    def _note(self, job: Job, known: tuple[str, ...] = ()) -> Job:
        note = Note(job.attempt, job.input_file_id, list(known), job=job)
        self.memory.set(job.key, note.to_dict())
        return job

    def _job(self, target: Target, task_id: str | None, job_id: str) -> Job:
        parameters = dict(self.parameters) or None
        return Job(target.key, target.attempt, job_id, target.file_id, task_id, self.model_id, target.shard, parameters)
