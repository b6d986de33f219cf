"""Claims: whose job a key at the provider stands for, noted at the work URI before the job is submitted.

The provider sees only the key, and Airflow forgets a deleted run with all that its tasks noted. A claim stays:
work_uri/jobs/<content>/<key>.json. `content` is a hash of what is paid for, so that runs over the same data lie in one
folder. Nothing is removed there, as with all at the work URI.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import orjson

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.storage import matches, open_binary, write_object

FOLDER = "jobs"
"""Below the work URI, beside the folders of the runs."""


class Claim(Value, frozen=True):
    """`dag_version` is the UUID of the DAG's version in Airflow's database: it tells one Airflow from another.
    `input_file_id` is the latest attempt's, noted at `noted_at` (epoch seconds).
    """

    key: str
    dag_id: str
    run_id: str
    task: str
    dag_version: str
    input_file_id: str
    noted_at: float

    @property
    def run(self) -> str:
        return f"{self.dag_id}/{self.run_id}"


@dataclass(frozen=True)
class Claimant:
    """Notes a run's claims. `paid_for` tells what is paid for beside the rows: vendor, account, model, parameters."""

    dag_id: str
    run_id: str
    task: str
    dag_version: str
    paid_for: str
    now: Callable[[], float] = time.time

    def __call__(self, shard: Shard, key: str, file_id: str) -> None:
        claim = Claim(key, self.dag_id, self.run_id, self.task, self.dag_version, file_id, self.now())
        folder = f"{claims_uri(work_uri_of(shard))}/{content_of(shard, self.paid_for)}"
        write_object(f"{folder}/{key}.json", orjson.dumps(claim.to_dict()))


def work_uri_of(shard: Shard) -> str:
    return shard.run_folder.rsplit("/", 1)[0]


def claims_uri(work_uri: str) -> str:
    return f"{work_uri.rstrip('/')}/{FOLDER}"


def content_of(shard: Shard, paid_for: str) -> str:
    return hashlib.sha256(f"{paid_for}|{shard.sha256}".encode()).hexdigest()[:32]


def claims_of(work_uri: str, keys: Iterable[str]) -> dict[str, Claim]:
    """Return the claims of these keys, by key; `work_uri` may be a glob. A key without a claim is left out."""
    wanted = set(keys)
    uris = matches(f"{claims_uri(work_uri)}/*/*.json") if wanted else []
    named = {uri: uri.rsplit("/", 1)[-1].removesuffix(".json") for uri in uris}
    return {key: read_claim(uri) for uri, key in named.items() if key in wanted}


def read_claim(uri: str) -> Claim:
    """Raise InputError for another object."""
    with open_binary(uri) as source:
        try:
            return msgspec.json.decode(source.read(), type=Claim)
        except msgspec.DecodeError as error:
            raise InputError(f"{uri}: not a claim of this version: {error}") from error
