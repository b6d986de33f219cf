"""Same input: whether another run has paid for the same rows with the same model, or is about to.

Runs find each other by their claims (claims.py), and the provider tells what became of the job. Each run notes its own
claim first and looks then; of two claims without a job neither is sent at the first look, and at the next one the
earlier. A list that lags more than FRESH_SECONDS is what remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from opensearch_batch.errors import PaidBefore
from opensearch_batch.flow.jobs import RemoteState, is_spent
from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.storage import exists, names_in
from opensearch_batch.submit.admission import MustWait, wait_for_try
from opensearch_batch.submit.claims import FRESH_SECONDS, TAKEN_BY, Claim, claim_at, content_uri
from opensearch_batch.submit.names import attempt_of

ANOTHER = "another run's job"
"""What a submission awaits where another run may be sending the same rows, or its job is being cancelled."""

WHAT_NOW = (
    "Clear that run, if its answers are only to land again; or start a run with the conf "
    '{"force_resubmit": true}, and the rows are paid for again; limits.same_input: allow never asks.'
)


@dataclass(frozen=True)
class Payment:
    """What is known of another run's job over the same rows; `words` are empty while no job has been seen, `job_id`
    and `state` where no job has or may have answers.
    """

    claim: Claim
    words: str = ""
    file_id: str = ""
    job_id: str = ""
    state: RemoteState | None = None


def refuse_paid(shards: Iterable[Shard], paid_for: str, run: str, store: ProviderStore, provider: Provider) -> None:
    """Raise PaidBefore where another run than `run` has paid for one of the shards, before any is sent."""
    shards = list(shards)
    paid: list[tuple[Shard, Payment]] = []
    for shard in shards:
        found = _paid(shard, paid_for, store, provider, lambda claim: claim.run != run)
        # What this run has paid for is not sent again.
        if found and not _paid(shard, paid_for, store, provider, lambda claim: claim.run == run):
            paid.append((shard, found))
    if paid:
        shard, first = paid[0]
        raise PaidBefore(
            f"{len(paid)} of {len(shards)} shards hold rows that another run has sent to the same model: {shard.name} "
            f"is that of the run {first.claim.run}: {first.words}. Nothing was sent. {WHAT_NOW}"
        )


def unpaid(
    shards: Iterable[Shard], paid_for: str, store: ProviderStore, provider: Provider, counts: Callable[[Claim], bool]
) -> list[Shard]:
    """Return the shards for which no job is known that has or may have answers, among the claims that `counts` lets
    count: those that are still to be paid for.
    """
    return [shard for shard in shards if not _paid(shard, paid_for, store, provider, counts)]


def to_upload(shards: Iterable[Shard], paid_for: str, run: str, store: ProviderStore) -> list[Shard]:
    """Return the shards without an input file at the provider that `run` has claimed or taken: a submission finds the
    other ones again.
    """

    def lies_there(claim: Claim | None) -> bool:
        return claim is not None and claim.run == run and store.file_bytes(claim.input_file_id) is not None

    return [shard for shard in shards if not any(map(lies_there, map(claim_at, _notes(shard, paid_for))))]


def _notes(shard: Shard, paid_for: str) -> list[str]:
    """Return the URIs of the claims of the shard's rows, and of the shares."""
    folder = content_uri(shard, paid_for)
    return [f"{folder}/{name}" for name in sorted(names_in(folder)) if name.endswith(".json")]


def _paid(
    shard: Shard, paid_for: str, store: ProviderStore, provider: Provider, counts: Callable[[Claim], bool]
) -> Payment | None:
    return next((each for each in payments(shard, paid_for, store, provider, 0.0, counts) if each.words), None)


def refuse_same(shard: Shard, own: Claim, paid_for: str, store: ProviderStore, provider: Provider) -> None:
    """Raise PaidBefore where another run has paid for the shard's rows, and MustWait where the job of another claim may
    show yet (goes_first).
    """
    for each in payments(shard, paid_for, store, provider, own.noted_at - FRESH_SECONDS, of_others(own)):
        if each.words:
            raise PaidBefore(
                f"{shard.name} was not sent: the run {each.claim.run} has sent the same rows to the same model: "
                f"{each.words}. {WHAT_NOW}"
            )
        if goes_first(each.claim, own):
            raise may_be_sending(shard, each.claim, own)


def may_be_sending(shard: Shard, other: Claim, own: Claim) -> MustWait:
    return wait_for_try(
        shard.name, ANOTHER, f"the run {other.run} may be sending the same rows at this moment", own.noted_at
    )


def goes_first(other: Claim, own: Claim) -> bool:
    """Tell whether `own`, which others can read, leaves a submission under way to `other`: at a first look to any, as
    that run may have looked before this claim could be read; later to an earlier one.
    """
    return own.first_at == own.noted_at or (other.first_at, other.key) < (own.first_at, own.key)


def of_others(own: Claim) -> Callable[[Claim], bool]:
    """Tell which claims are of other runs than that of `own`."""
    return lambda claim: claim.run != own.run


def payments(
    shard: Shard,
    paid_for: str,
    store: ProviderStore,
    provider: Provider,
    since: float,
    counts: Callable[[Claim], bool],
) -> Iterator[Payment]:
    """Yield what runs have paid for the shard's rows: jobs that have or may have answers, and submissions noted after
    `since` (epoch seconds) whose job does not show. A run that takes another's job removes its claim, then its upload.

    Only the claims that `counts` lets count are asked about: a question may walk the whole list of the account's jobs.
    """
    uris = [uri for uri in _notes(shard, paid_for) if TAKEN_BY not in uri.rsplit("/", 1)[-1]]
    read = [(uri, claim_at(uri)) for uri in uris]  # all before the first, slower, question
    claims = [(uri, claim) for uri, claim in read if claim and counts(claim)]
    for uri, claim in claims:
        uploads = store.find_uploads(claim.key)
        file_id = uploads[max(uploads, key=attempt_of)] if uploads else claim.input_file_id
        jobs = [provider.read_job(document) for document in store.find_jobs(file_id)]
        if usable := [job for job in jobs if not is_spent(job)]:
            words = f"job {usable[0].id} ({usable[0].status})"
            yield Payment(claim, words, file_id, usable[0].id, usable[0].state)
        elif not jobs and store.file_bytes(file_id) is None:
            if exists(uri):
                yield Payment(claim, f"its input file {file_id} is gone, as after a clean-up of what has landed")
        elif not jobs and claim.noted_at > since:
            yield Payment(claim)
