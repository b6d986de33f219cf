"""Landing: a job's output files become result and failure files at the output URI."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain

import orjson
from msgspec.structs import replace

from opensearch_batch.errors import BatchError, ReasonsUnread, Refused, Unavailable
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.data_files import Format
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.output_schema import OutputSchema
from opensearch_batch.land.lines import Reader
from opensearch_batch.land.output_check import checking, schema_of
from opensearch_batch.land.reconcile import Failure, Fate, Tally, fate, join
from opensearch_batch.land.row_fields import RowFields, row_fields
from opensearch_batch.land.tag import tag_of
from opensearch_batch.prepare.grouping import Groups
from opensearch_batch.prepare.row_ids import row_groups, row_ids
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.sinks.formats import ResultFile, open_results
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.storage import remove, remove_begun

log = logging.getLogger(__name__)

NOT_FOUND = 404
SOON_SECONDS = 3600.0
"""So long after the look that saw a job's end its files may be yet to come."""

LAG_SECONDS = 60.0
"""Pause before files are read again that were short, or not there."""


def land(
    outcome: Outcome,
    store: ProviderStore,
    provider: Provider,
    output_uri: str,
    run_key: str,
    output_format: Format = "jsonl",
    *,
    repair: bool = False,
) -> Landed:
    """Stream every output file of the job into results and failures; both appear whole, by rename, or not at all.

    With `repair`, rows failed for a passing reason go to the shard's `handed_on_uri` instead, for a later round.
    Repeating writes the same names again; another job, or other fields of the rows, have other names. Raise Transient
    when a download cannot be finished, UnknownAnswer when the output as a whole cannot be read.
    """
    job = outcome.job
    ids, groups = _ids_of(job, store, provider)
    tally = Tally(repair=repair and job.shard is not None)
    landed = land_answers(
        Sent(job, ids, groups),
        _lines(outcome, store),
        provider,
        fate(outcome.state, outcome.error_code, outcome.error_message, provider.passes),
        tally,
        Target(output_uri, run_key, output_format),
        lambda: _refuse_fewer_than_told(outcome, tally, len(groups or ids)),
    )
    _warn(job, outcome, tally)
    usage = _usage(outcome, store, tally)
    return replace(
        landed,
        state=outcome.state,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        instance_seconds=usage.instance_seconds,
    )


@dataclass(frozen=True)
class Sent:
    """What a job was asked for: the row ids, and the ids by request where requests have many."""

    job: Job
    ids: Sequence[str]
    groups: Groups | None


@dataclass(frozen=True)
class Target:
    """Where results and failures of a run go."""

    output_uri: str
    run_key: str
    format: Format = "jsonl"


def land_answers(
    sent: Sent,
    lines: Iterable[bytes],
    reader: Reader,
    end: Fate,
    tally: Tally,
    target: Target,
    refuse: Callable[[], None] = lambda: None,
) -> Landed:
    """Join the lines to the rows sent, into results and failures; the Landed has no usage, and the state completed.

    `refuse` raises, before anything appears, where the lines cannot be all.
    """
    job, schema = sent.job, schema_of(sent.job.shard)
    asked = (job.shard.asked if job.shard else None) or Asked()
    twins = (job.shard.twins if job.shard else 0) or 0
    check = checking(schema) if schema else None
    with row_fields([job.shard] if job.shard else []) as fields, _files(job, target, tally, schema) as files:
        joined = join(sent.ids, lines, reader, end, tally, sent.groups, job.name, asked, check)
        for row in _with_twins(joined, fields, tally) if twins else joined:
            if isinstance(row, Answer):
                files.results.add(row, fields.of(row.id))
            elif files.handed_on and tally.hands_on(row):
                files.handed_on.add_line(row.handed_on)
            else:
                files.failures.add_line(row.line)
        refuse()
        return replace(
            _counted(job, len(sent.ids) + twins, tally),
            results=files.results.commit(),
            failures=files.failures.commit(),
            repair=files.handed_on.commit() if files.handed_on else None,
        )


@dataclass(frozen=True)
class _Files:
    """The open files in which a job's rows end; `handed_on` where a repair round may follow."""

    results: ResultFile
    failures: JsonLines
    handed_on: JsonLines | None


@contextmanager
def _files(job: Job, target: Target, tally: Tally, schema: OutputSchema | None) -> Generator[_Files, None, None]:
    part = job.shard.part if job.shard else job.key[-12:]
    name = f"{target.run_key}-{part}-{_tag(job, tally)}"
    about = {"model_id": job.model_id, "run": target.run_key, "shard": part, "batch_id": job.provider_job_id}
    types = dict((job.shard.field_types if job.shard else None) or ())
    columns = schema.columns if schema else {}
    with (
        open_results(f"{target.output_uri}/results-{name}", target.format, about, types, columns) as results,
        JsonLines(f"{target.output_uri}/failures-{name}.jsonl") as failures,
        _handed_on(job, tally) as handed_on,
    ):
        yield _Files(results, failures, handed_on)


def _counted(job: Job, records: int, tally: Tally) -> Landed:
    """Return the Landed without files and usage."""
    return Landed(
        job=job,
        state="completed",
        records=records,
        answered=tally.answered,
        failed=tally.failed,
        missing=tally.missing,
        duplicates=tally.duplicates,
        foreign=tally.foreign,
        unreadable=tally.unreadable,
        input_tokens=0,
        output_tokens=0,
        codes=tally.codes,
        named=tally.named,
        examples=tally.examples,
        passing=tally.passing,
        zero_vectors=tally.zero_vectors,
        truncated=tally.truncated,
    )


def _with_twins(rows: Iterable[Answer | Failure], fields: RowFields, tally: Tally) -> Iterator[Answer | Failure]:
    """Yield each row that was sent, and its twins with the same end."""
    for row in rows:
        yield row
        for twin in fields.twins(row.id):
            yield tally.again(row, twin.id)


def _tag(job: Job, tally: Tally) -> str:
    """Tell jobs of a shard, the fields beside the shard's answers, their schema, and what is handed on apart."""
    beside = [job.shard.fields_uri, job.shard.schema_uri] if job.shard else []
    return tag_of(job.key, job.provider_job_id, str(tally.repair), uris=[uri for uri in beside if uri])


def _lines(outcome: Outcome, store: ProviderStore) -> Iterator[bytes]:
    """The store's answers. Soon after the end a file that is not there may be yet to come: raise Unavailable."""
    try:
        yield from store.answers(outcome)
    except ReasonsUnread:
        raise
    except Refused as error:
        if error.status != NOT_FOUND or time.time() - (outcome.seen_at or 0.0) > SOON_SECONDS:
            raise
        raise Unavailable(
            f"{outcome.job.name} has just ended, and its files may be yet to come: {error}",
            status=error.status,
            retry_after_seconds=LAG_SECONDS,
        ) from error


def _refuse_fewer_than_told(outcome: Outcome, tally: Tally, requests: int) -> None:
    """Raise Unavailable where the files hold fewer answers than the job says: files lag."""
    told, came = min(outcome.requests_done, requests), tally.replied + tally.unreadable + tally.foreign
    if came < told:
        raise Unavailable(
            f"{outcome.job.name}: the provider says {told} requests are answered, and its files have {came} answers. "
            "They are read again; nothing of the job landed, and nothing is sent again. Where the files stay short, "
            "ask the provider for the rest, or give these rows to a new run",
            retry_after_seconds=LAG_SECONDS,
        )


def _usage(outcome: Outcome, store: ProviderStore, tally: Tally) -> Usage:
    """What informs never keeps paid answers from landing. Another run's job has cost this run nothing."""
    if outcome.job.shared_with:
        return Usage()
    told = Usage(outcome.input_tokens, outcome.output_tokens, outcome.instance_seconds)
    try:
        told = store.usage(outcome) or told
    except BatchError as error:
        log.warning("%s: its usage cannot be read: %s", outcome.job.name, error)
    counted = tally.usage
    return replace(
        told,
        input_tokens=told.input_tokens or counted.input_tokens,
        output_tokens=told.output_tokens or counted.output_tokens,
    )


def _handed_on(job: Job, tally: Tally) -> AbstractContextManager[JsonLines | None]:
    """Open the file of the rows for a repair round. Where no round follows, remove the file of an earlier try."""
    if job.shard is None:
        return nullcontext()
    uri = job.shard.handed_on_uri(job.key)
    remove_begun(uri)
    if not tally.repair:
        remove(uri)
        return nullcontext()
    return JsonLines(uri)


def _ids_of(job: Job, store: ProviderStore, provider: Provider) -> tuple[list[str], dict[str, tuple[str, ...]] | None]:
    """Return the row ids, and the ids by request where requests have many; for raw parameters from the provider's input
    file.
    """
    if job.shard:
        groups = row_groups(job.shard)
        return [*chain.from_iterable(groups.values())] if groups else [*row_ids(job.shard, provider)], groups
    if not job.input_file_id:
        return [], None
    return [provider.request_id(orjson.loads(line)) for line in store.lines(job.input_file_id) if line.strip()], None


def _warn(job: Job, outcome: Outcome, tally: Tally) -> None:
    level = logging.INFO if outcome.state == "completed" and not (tally.failed or tally.missing) else logging.WARNING
    log.log(
        level,
        "%s ended %s: %d answered, %d failed, %d missing",
        job.name,
        outcome.status,
        tally.answered,
        tally.failed,
        tally.missing,
    )
    if tally.passing:
        log.warning("%s: %d rows go to the next repair round: %s", job.name, sum(tally.passing.values()), tally.passing)
    if outcome.error_message:
        log.warning("%s: %s: %s", job.name, outcome.error_code, outcome.error_message)
    if tally.duplicates or tally.foreign or tally.unreadable:
        log.warning(
            "%s: %d duplicate, %d foreign, %d unreadable lines (%s); %s",
            job.name,
            tally.duplicates,
            tally.foreign,
            tally.unreadable,
            tally.first_unreadable or "-",
            tally.named,
        )
