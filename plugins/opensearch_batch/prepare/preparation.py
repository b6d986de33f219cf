"""Preparation: the input becomes shards at the work URI, and a plan. Nothing is sent; errors of the input show here."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import islice

import orjson
from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import InputError, SpecError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.grouping import group_name, ids_line, in_groups
from opensearch_batch.prepare.lengths import short_enough
from opensearch_batch.prepare.plan import Plan, make_plan
from opensearch_batch.prepare.prices import MeanPrice, tariff_of
from opensearch_batch.prepare.shards import (
    OpenShardFile,
    Request,
    ShardFile,
    ShardLimits,
    bundle,
    estimate_tokens,
    write_shards,
)
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.sources.records import Record, read_records
from opensearch_batch.spec import BatchSpec, LimitSection
from opensearch_batch.storage import ObjectWriter, matches, read_lines, remove

log = logging.getLogger(__name__)


def prepare(spec: BatchSpec, run_key: str, folder: str) -> tuple[Plan, list[list[Shard]]]:
    """Write the shards into `folder`, emptied first, and return the plan with the bundles; a dry run writes nothing.

    Raise InputError at the first wrong row, BudgetExceeded, or SpecError; then no shard is left behind.
    """
    provider = providers.get(spec.model.provider)
    remove(folder, recursive=True)
    limits = shard_limits(spec.limits, provider)
    tariff = tariff_of(provider, spec.model.name, spec.limits.usd_per_million_tokens)
    price = MeanPrice(tariff) if tariff else None
    try:
        with closing(_requests(spec, limits)) as requests:
            open_ids = opener(folder, ".ids.jsonl", spec.dry_run) if spec.model.texts_per_request > 1 else None
            made = write_shards(_priced(requests, price), opener(folder, ".jsonl", spec.dry_run), limits, open_ids)
            asked = provider.asked(spec.model.name, spec.model.endpoint, spec.model.parameters)
            shards = [replace(shard, asked=asked) for shard in made]
        plan = make_plan(
            shards,
            run_key,
            price.value if price else None,
            dry_run=spec.dry_run,
            max_cost_usd=spec.limits.max_cost_usd,
            output_tokens_a_row=provider.output_tokens_at_most(
                spec.model.name, spec.model.endpoint, spec.model.parameters
            ),
            usd_per_instance_hour=spec.limits.usd_per_instance_hour,
            price_origin=tariff.origin if tariff else UNSET,
        )
        if not plan.records and not spec.may_be_empty:
            found = "no rows" if matches(spec.input.uri) else "matches no object"
            raise InputError(f"{spec.input.uri}: {found}. If that may be, say input.allow_empty: true")
    except BaseException:
        remove(folder, recursive=True)
        raise
    log.info("plan: %s", plan)
    return plan, bundle(shards)


def shard_limits(section: LimitSection, provider: Provider) -> ShardLimits:
    """Raise SpecError for a limit above the provider's."""
    allowed = _within("max_bytes", section.max_bytes, provider.MAX_BYTES)
    # No shard may be over the limit of enqueued tokens by itself: it would never get a turn.
    enqueued = allowed if section.max_enqueued_tokens is None else 4 * section.max_enqueued_tokens
    return ShardLimits(
        requests=_within("max_requests", section.max_requests, provider.MAX_REQUESTS),
        bytes=min(allowed, enqueued),
        inputs=_within("max_inputs", section.max_inputs, provider.MAX_INPUTS),
        tokens=section.max_tokens,
        bytes_by="max_bytes" if allowed <= enqueued else "max_enqueued_tokens",
        least=provider.MIN_REQUESTS if section.min_requests is None else section.min_requests,
    )


def opener(folder: str, suffix: str, dry_run: bool = False, first: int = 0) -> OpenShardFile:
    """`first` is the number of the first file."""

    def open_file(index: int) -> tuple[str, AbstractContextManager[ShardFile]]:
        uri = f"{folder}/shard-{first + index:05d}{suffix}"
        return uri, _Discard() if dry_run else ObjectWriter(uri)

    return open_file


def _priced(requests: Iterable[Request], price: MeanPrice | None) -> Iterator[Request]:
    for request in requests:
        if price:
            price.add(estimate_tokens(request.text_bytes), request.rows)
        yield request


def _requests(spec: BatchSpec, limits: ShardLimits) -> Generator[Request, None, None]:
    read = spec.input
    with closing(read_lines(read.uri)) as lines:
        records = read_records(lines, id_field=read.id_field, text_field=read.text_field, prompt=read.prompt)
        with closing(records):
            wanted = short_enough(islice(records, read.max_records), spec)
            yield from _grouped(wanted, spec, limits) if spec.model.texts_per_request > 1 else _single(wanted, spec)


def _single(records: Iterable[Record], spec: BatchSpec) -> Iterator[Request]:
    provider, model = providers.get(spec.model.provider), spec.model
    for record in records:
        body = provider.request(record.id, record.text, model.name, model.endpoint, model.parameters)
        raw = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
        yield Request(raw, len(record.text.encode()), str(record.line))


def _grouped(records: Iterable[Record], spec: BatchSpec, limits: ShardLimits) -> Iterator[Request]:
    provider, model = providers.get(spec.model.provider), spec.model
    most = min(model.texts_per_request, limits.inputs or model.texts_per_request)
    most_bytes = min(provider.MAX_TEXT_BYTES_A_REQUEST, 4 * (limits.tokens or provider.MAX_TEXT_BYTES_A_REQUEST))
    for group in in_groups(records, most, most_bytes):
        ids, texts = [record.id for record in group], [record.text for record in group]
        body = provider.request(group_name(ids), texts, model.name, model.endpoint, model.parameters)
        raw = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
        text_bytes = sum(len(text.encode()) for text in texts)
        yield Request(raw, text_bytes, str(group[0].line), len(group), ids_line(ids))


def _within(name: str, wanted: int | None, most: int) -> int:
    if wanted is not None and wanted > most:
        raise SpecError(f"limits.{name} is {wanted}; the provider allows {most}")
    return wanted or most


class _Discard:
    """Stands for a file in a dry run."""

    def __enter__(self) -> _Discard:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def write(self, chunk: bytes, /) -> None: ...

    def commit(self) -> None: ...
