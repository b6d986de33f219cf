"""Claims: whose job a key at the provider stands for, noted at the work URI before the job is submitted.

The provider sees only the key, and Airflow forgets a deleted run with all that its tasks noted. A claim stays:
work_uri/jobs/<content>/<key>.json. `content` is a hash of what is paid for, so that runs over the same data lie in one
folder. A claim goes only where its run takes another run's job instead (shares.py): an object that was listed may be
gone when it is read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import orjson

from opensearch_batch.errors import InputError, NoSuchObject
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.storage import matches, open_binary, remove_begun, write_object

FOLDER = "jobs"
"""Below the work URI, beside the folders of the runs."""

TAKEN_BY = "--"
"""Between two keys in the name of a share (shares.py), which lies beside the claims."""

FRESH_SECONDS = 900.0
"""So long a submission may be under way before its job shows: a guess on the safe side, as in submission.py."""


class Claim(Value, frozen=True):
    """`dag_version` is the UUID of the DAG's version in Airflow's database: it tells one Airflow from another.
    `input_file_id` is the latest attempt's, claimed first at `first_at` and last at `noted_at` (epoch seconds).
    """

    key: str
    dag_id: str
    run_id: str
    task: str
    dag_version: str
    input_file_id: str
    first_at: float
    noted_at: float

    @property
    def run(self) -> str:
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True)
class SharedJob:
    """A job of another run over the same rows, to be taken instead of a new job; `run` is the owner's name. The claim
    at `own_claim_uri`, where there is one, is not needed any more.
    """

    job_id: str
    input_file_id: str
    run: str
    own_claim_uri: str


@dataclass(frozen=True)
class Claimant:
    """Notes a run's claims. `paid_for` tells what is paid for beside the rows: vendor, account, model, parameters.

    `look` is asked before anything is uploaded, with the claim to come, whose `input_file_id` may be empty; `check`
    after the claim was noted, before the submission. Both may raise, and may return a job to take instead.
    """

    dag_id: str
    run_id: str
    task: str
    dag_version: str
    paid_for: str
    check: Callable[[Shard, Claim], SharedJob | None] = lambda shard, claim: None
    look: Callable[[Shard, Claim], SharedJob | None] = lambda shard, claim: None
    now: Callable[[], float] = time.time

    def before(self, shard: Shard, key: str, file_id: str | None) -> SharedJob | None:
        now = self.now()
        return self.look(shard, self._claim(key, file_id or "", now, now))

    def __call__(self, shard: Shard, key: str, file_id: str) -> SharedJob | None:
        """A claim of long ago is made anew: another run may have come first meanwhile."""
        uri, now = f"{content_uri(shard, self.paid_for)}/{key}.json", self.now()
        before = claim_at(uri)
        goes_on = before and before.input_file_id == file_id and before.noted_at > now - FRESH_SECONDS
        first_at = before.first_at if before and goes_on else now
        claim = self._claim(key, file_id, first_at, now)
        remove_begun(uri)
        write_object(uri, orjson.dumps(claim.to_dict()))
        return self.check(shard, claim)

    def _claim(self, key: str, file_id: str, first_at: float, now: float) -> Claim:
        return Claim(key, self.dag_id, self.run_id, self.task, self.dag_version, file_id, first_at, now)


def work_uri_of(shard: Shard) -> str:
    return shard.run_folder.rsplit("/", 1)[0]


def claims_uri(work_uri: str) -> str:
    return f"{work_uri.rstrip('/')}/{FOLDER}"


def content_uri(shard: Shard, paid_for: str) -> str:
    """Return the folder of the claims of the same rows, paid for in the same way."""
    content = hashlib.sha256(f"{paid_for}|{shard.sha256}".encode()).hexdigest()[:32]
    return f"{claims_uri(work_uri_of(shard))}/{content}"


def claims_of(work_uri: str, keys: Iterable[str]) -> dict[str, Claim]:
    """Return the claims of these keys, by key; `work_uri` may be a glob. A key without a claim is left out."""
    wanted = set(keys)
    uris = matches(f"{claims_uri(work_uri)}/*/*.json") if wanted else []
    named = {uri: uri.rsplit("/", 1)[-1].removesuffix(".json") for uri in uris}
    return {key: claim for uri, key in named.items() if key in wanted and (claim := claim_at(uri))}


def claim_at(uri: str) -> Claim | None:
    """Return the claim; None where the object is absent by now. Raise InputError for another object."""
    try:
        with open_binary(uri) as source:
            content = source.read()
    except NoSuchObject:
        return None
    try:
        return msgspec.json.decode(content, type=Claim)
    except msgspec.DecodeError as error:
        raise InputError(f"{uri}: not a claim of this version: {error}") from error
