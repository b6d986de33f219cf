"""Shares: jobs of other runs over the same rows, taken instead of paid for again (`limits.same_input: share`).

The run that takes a job notes so before the job counts as its own: the claim of the run that takes lies at
work_uri/jobs/<content>/<owner's key>--<own key>.json. By the note the owner's clean-up keeps the job's files, and the
look for orphans leaves the job running where only the owner is gone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import orjson
from msgspec.structs import replace

from opensearch_batch.errors import PaidBefore
from opensearch_batch.flow.jobs import ENDED
from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.storage import matches, remove, write_object
from opensearch_batch.submit.admission import wait_for_try
from opensearch_batch.submit.claims import (
    FRESH_SECONDS,
    TAKEN_BY,
    Claim,
    SharedJob,
    claim_at,
    claims_uri,
    content_uri,
)
from opensearch_batch.submit.same_input import ANOTHER, Payment, goes_first, may_be_sending, of_others, payments

HOLD_SECONDS = 30 * 24 * 3600.0
"""So long a share keeps the files of a job from the owner's clean-up, where the run that took the job is never cleaned
up itself. As long as Airflow keeps what a task noted.
"""


def shared_job(
    shard: Shard, own: Claim, paid_for: str, store: ProviderStore, provider: Provider, *, claimed: bool
) -> SharedJob | None:
    """Return another run's job over the shard's rows, noted as taken; None where the run pays itself.

    `claimed`: `own` can be read by other runs already. `own.input_file_id` is empty before the upload. Raise
    MustWait where the job of another run may show yet, or is being cancelled, and PaidBefore where the answers are no
    longer at the provider.
    """
    since = own.noted_at - FRESH_SECONDS
    others = list(payments(shard, paid_for, store, provider, since, of_others(own)))
    folder = content_uri(shard, paid_for)
    for each in sorted((each for each in others if each.job_id), key=_best_first):
        if each.state == "cancelling":
            why = f"job {each.job_id} of the run {each.claim.run} is being cancelled"
            raise wait_for_try(shard.name, ANOTHER, why, own.noted_at)
        note = replace(own, input_file_id=each.file_id)
        share_uri = f"{folder}/{each.claim.key}{TAKEN_BY}{own.key}.json"
        write_object(share_uri, orjson.dumps(note.to_dict()))
        if store.file_bytes(each.file_id) is None:  # the owner's clean-up was here first
            remove(share_uri)
            continue
        return SharedJob(each.job_id, each.file_id, each.claim.run, f"{folder}/{own.key}.json")
    for each in others:
        if not each.words and (goes_first(each.claim, own) if claimed else not own.input_file_id):
            raise may_be_sending(shard, each.claim, own)
    if gone := [each for each in others if each.words]:
        raise PaidBefore(
            f"{shard.name} was not sent: the run {gone[0].claim.run} has paid for the same rows, and what it got was "
            'cleaned up at the provider. Read its results; or start a run with the conf {"force_resubmit": true}, and '
            "the rows are paid for again"
        )
    return None


def shares_of(work_uri: str, keys: Iterable[str], since: float = 0.0) -> dict[str, list[Claim]]:
    """Return the claims of the runs that have taken a job of these keys after `since` (epoch seconds), by the owner's
    key; `work_uri` may be a glob.
    """
    wanted, found = set(keys), dict[str, list[Claim]]()
    for uri in matches(f"{claims_uri(work_uri)}/*/*{TAKEN_BY}*.json") if wanted else []:
        owner = uri.rsplit("/", 1)[-1].split(TAKEN_BY)[0]
        if owner in wanted and (claim := claim_at(uri)) and claim.noted_at > since:
            found.setdefault(owner, []).append(claim)
    return found


def held_files(work_uri: str, keys: Iterable[str]) -> dict[str, list[Claim]]:
    """Return the shares that keep a job's files at the provider, by the owner's key."""
    return shares_of(work_uri, keys, time.time() - HOLD_SECONDS)


def release(work_uri: str, keys: Iterable[str]) -> int:
    """Give up what the run's keys have taken: its answers have landed. Return the number of jobs."""
    ends = tuple(f"{TAKEN_BY}{key}.json" for key in keys)
    uris = [uri for uri in matches(f"{claims_uri(work_uri)}/*/*{TAKEN_BY}*.json") if uri.endswith(ends)]
    for uri in uris:
        remove(uri)
    return len(uris)


def _best_first(payment: Payment) -> tuple[bool, bool, bool, float]:
    """A job with all its answers, then one that runs, then one that ended early, then one that is being cancelled; of
    equals the oldest.
    """
    state = payment.state
    return state == "cancelling", state != "completed", state in ENDED, payment.claim.first_at
