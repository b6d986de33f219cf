"""Preparation: the input becomes shards at the work URI, and a plan. Nothing is sent; what is wrong with the input
shows here.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, closing
from itertools import islice

import orjson

from opensearch_batch import providers
from opensearch_batch.errors import InputError, SpecError
from opensearch_batch.plan import Plan, make_plan, price_of
from opensearch_batch.records import read_records
from opensearch_batch.shards import Request, Shard, Sink, bundle, write_shards
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stores.object_storage import ObjectWriter, matches, read_lines, remove

log = logging.getLogger(__name__)


def prepare(spec: BatchSpec, run_key: str, folder: str) -> tuple[Plan, list[list[Shard]]]:
    """Write the shards into `folder`, emptied first, and return the plan with the bundles; a dry run writes nothing.

    Raise InputError at the first wrong row, BudgetExceeded, or SpecError; then no shard is left behind.
    """
    provider = providers.get(spec.model.provider)
    remove(folder, recursive=True)
    limits = {
        "max_requests": _within("max_requests", spec.limits.max_requests, provider.MAX_REQUESTS),
        "max_bytes": _within("max_bytes", spec.limits.max_bytes, provider.MAX_BYTES),
    }

    def open_sink(index: int) -> tuple[str, AbstractContextManager[Sink]]:
        uri = f"{folder}/shard-{index:05d}.jsonl"
        return uri, _Discard() if spec.dry_run else ObjectWriter(uri)

    try:
        with closing(_requests(spec)) as requests:
            shards = list(write_shards(requests, open_sink, **limits))
        price = price_of(provider, spec.model.name, spec.limits.usd_per_million_tokens)
        plan = make_plan(
            shards,
            run_key,
            price,
            dry_run=spec.dry_run,
            max_cost_usd=spec.limits.max_cost_usd,
            output_tokens_a_row=provider.output_tokens_at_most(spec.model.endpoint, spec.model.parameters),
        )
        if not plan.records and not spec.may_be_empty:
            found = "no rows" if matches(spec.input.uri) else "matches no object"
            raise InputError(f"{spec.input.uri}: {found}. If that may be, say input.allow_empty: true")
    except BaseException:
        remove(folder, recursive=True)
        raise
    log.info("plan: %s", plan)
    return plan, bundle(shards)


def _requests(spec: BatchSpec) -> Generator[Request, None, None]:
    provider, model, read = providers.get(spec.model.provider), spec.model, spec.input
    with closing(read_lines(read.uri)) as lines:
        records = read_records(lines, id_field=read.id_field, text_field=read.text_field, prompt=read.prompt)
        with closing(records):
            for record in islice(records, read.max_records):
                body = provider.request(record.id, record.text, model.name, model.endpoint, model.parameters)
                raw = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
                yield Request(raw, len(record.text.encode()), str(record.line))


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
