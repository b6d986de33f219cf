"""Preparation: the input becomes shards at the work URI, and a plan. Nothing is sent; errors of the input show here."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import chain, islice
from typing import Any

import orjson
from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import InputError, SpecError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.prepare.bad_rows import BadRows, collected, refuse_bad_rows
from opensearch_batch.prepare.chunk_mapping import most_chunks
from opensearch_batch.prepare.chunks import CHUNK_TYPES, chunks_of
from opensearch_batch.prepare.grouping import group_name, ids_line, in_groups
from opensearch_batch.prepare.index_documents import judged_documents
from opensearch_batch.prepare.lengths import short_enough
from opensearch_batch.prepare.output_schema import bytes_on_top, output_schema_of, parameters_of
from opensearch_batch.prepare.output_schema import keep as keep_schema
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.prepare.planning import Made, plan_of
from opensearch_batch.prepare.prices import MeanPrice, tariff_of
from opensearch_batch.prepare.reused import Reuse
from opensearch_batch.prepare.run_note import note_of, write_note
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
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.sources.changed import ChangedDocuments
from opensearch_batch.sources.hashed import TEXT_HASH, hashed
from opensearch_batch.sources.images import images_of
from opensearch_batch.sources.included import IncludedFields
from opensearch_batch.sources.index_rows import DOCUMENT, ID
from opensearch_batch.sources.inputs import read_rows
from opensearch_batch.sources.records import Record, read_records
from opensearch_batch.sources.rows import BadRow
from opensearch_batch.sources.templates import wording_of
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import ObjectWriter, matches, remove
from opensearch_batch.temporary_database import temporary_database

log = logging.getLogger(__name__)

BAD_ROWS_FILE = "bad-rows.jsonl"
"""In the folder of a preparation: the rows that are skipped, as lines of a failures file."""
REUSED_FILE = "reused.jsonl"
"""In the folder of a preparation: rows with the vector of an earlier run, as lines of a results file."""


def prepare(
    spec: BatchSpec, run_key: str, folder: str, run_name: str = "", flow_name: str = ""
) -> tuple[Plan, list[list[Shard]]]:
    """Write the shards into `folder`, emptied first, and return the plan with the bundles; a dry run writes nothing.

    Raise InputError for bad rows that the spec does not skip, BudgetExceeded, or SpecError; then no shard is left
    behind. Raise Terminal for a flow, by its name beside vectors, that has written into the index before: it would find
    its own documents unchanged, and lose what landed.
    """
    provider = providers.get(spec.model.provider)
    remove(folder, recursive=True)
    note = note_of(spec.name, run_name, run_key)
    limits = shard_limits(spec.limits, provider)
    tariff = tariff_of(provider, spec.model.name, spec.limits.usd_per_million_tokens)
    price = MeanPrice(tariff) if tariff else None
    try:
        if not spec.dry_run:
            write_note(folder, note)
        made = _made(spec, limits, price, folder, run_key, flow_name)
        plan = plan_of(spec, made, run_key, tariff, price)
        if not plan.records and not (made.reuse and made.reuse.count) and not spec.may_be_empty:
            found = "no rows" if made.documents or matches(spec.input.uri) else "matches no object"
            raise InputError(f"{spec.input.uri}: {found}. If that may be, say input.allow_empty: true")
        if not spec.dry_run:
            write_note(folder, replace(note, prepared=True))
    except BaseException:
        remove(folder, recursive=True)
        raise
    if made.bad.count:
        log.warning("bad rows are skipped, the first of %d:\n%s", made.bad.count, made.bad.words)
    log.info("plan: %s", plan)
    return plan, bundle(made.shards)


def _made(
    spec: BatchSpec, limits: ShardLimits, price: MeanPrice | None, folder: str, run_key: str, flow_name: str
) -> Made:
    """Write the shards, and beside them the rows that are not sent; each request is added to `price`."""
    kept = "skip" in (spec.input.bad_rows, spec.input.too_long) and not spec.dry_run
    with (
        collected(f"{folder}/{BAD_ROWS_FILE}", kept, spec.input.bad_rows == "skip") as bad,
        _reuse(spec, f"{folder}/{REUSED_FILE}", run_key) as reuse,
    ):
        asked = providers.get(spec.model.provider).asked(spec.model.name, spec.model.endpoint, spec.model.parameters)
        schema = output_schema_of(spec)
        parameters = parameters_of(spec, schema)
        if reuse and asked.vectors is False:
            raise SpecError(f"reuse copies vectors, and {spec.model.endpoint} answers with text")
        documents = judged_documents(spec, asked, flow_name) if spec.input.is_index else None
        included = _included(spec, reuse)
        with closing(_requests(spec, parameters, limits, bad, included, documents, reuse)) as requests:
            open_ids = opener(folder, ".ids.jsonl", spec.dry_run) if spec.model.texts_per_request > 1 else None
            open_fields = opener(folder, ".fields.jsonl", spec.dry_run) if included else None
            open_shard = opener(folder, ".jsonl", spec.dry_run)
            shards = list(write_shards(_priced(requests, price), open_shard, limits, open_ids, open_fields))
        own = CHUNK_TYPES if spec.input.chunks else {}
        types = tuple({**included.types(), **own}.items()) if included else UNSET
        schema_uri = keep_schema(schema, folder) if schema and not spec.dry_run else UNSET
        shards = [replace(shard, asked=asked, field_types=types, schema_uri=schema_uri) for shard in shards]
        bad.keep()
        return Made(shards, bad, documents, reuse, reuse.keep() if reuse else None)


def _included(spec: BatchSpec, reuse: Reuse | None) -> IncludedFields | None:
    chunks = spec.input.chunks
    wanted = {TEXT_HASH: spec.write_back or (reuse and not chunks), DOCUMENT: spec.write_back}
    names = [*(name for name in wanted if wanted[name]), *spec.output.include]
    return IncludedFields(names) if names or chunks else None


def shard_limits(section: LimitSection, provider: Provider) -> ShardLimits:
    """Raise SpecError for a limit above the provider's."""
    allowed = _within("max_bytes", section.max_bytes, provider.MAX_BYTES)
    # No shard may be over the limit of enqueued tokens by itself: it would never get a turn. The tokens of images come
    # on top of its bytes.
    most = section.max_enqueued_tokens
    enqueued = allowed if most is None else 4 * most
    by_tokens = most is not None and (section.max_tokens is None or most < section.max_tokens)
    return ShardLimits(
        requests=_within("max_requests", section.max_requests, provider.MAX_REQUESTS),
        bytes=min(allowed, enqueued),
        inputs=_within("max_inputs", section.max_inputs, provider.MAX_INPUTS),
        tokens=most if by_tokens else section.max_tokens,
        bytes_by="max_bytes" if allowed <= enqueued else "max_enqueued_tokens",
        tokens_by="max_enqueued_tokens" if by_tokens else "max_tokens",
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


def _requests(
    spec: BatchSpec,
    parameters: Mapping[str, Any],
    limits: ShardLimits,
    bad: BadRows,
    included: IncludedFields | None,
    documents: ChangedDocuments | None,
    reuse: Reuse | None,
) -> Generator[Request, None, None]:
    with closing(_rows(spec, included, documents, bad)) as rows:
        records = short_enough(bad.without(rows), spec, bad)
        if reuse:
            records = reuse.others(records)
        grouped = spec.model.texts_per_request > 1
        made = _grouped(records, spec, limits) if grouped else _single(records, spec, parameters)
        good = 0
        for request in _small_enough(made, limits, bad):
            good += request.rows + request.twin_count
            yield request
    refuse_bad_rows(bad, good + (reuse.count if reuse else 0), spec.input)


@contextmanager
def _reuse(spec: BatchSpec, uri: str, run_key: str) -> Generator[Reuse | None, None, None]:
    """With the results file of the rows that are not sent; a dry run writes none."""
    if spec.reuse is None:
        yield None
        return
    with temporary_database() as db, nullcontext() if spec.dry_run else JsonLines(uri) as out:
        yield Reuse(spec.reuse, db, out, run_key)


def _rows(
    spec: BatchSpec, included: IncludedFields | None, documents: ChangedDocuments | None, bad: BadRows
) -> Generator[Record | BadRow, None, None]:
    read = spec.input
    id_field = ID if documents else read.id_field
    with closing(documents.rows() if documents else read_rows(spec)) as rows:
        with_hash = hashed(rows, spec) if spec.reuse and not (documents or read.chunks) else rows
        records: Iterator[Record | BadRow] = islice(
            read_records(
                with_hash,
                id_field=id_field,
                text_field=read.text_field,
                prompt=wording_of(read),
                included=included,
                images_of=images_of(spec),
            ),
            read.max_records,
        )
        if read.chunks:
            most = most_chunks(documents.described) if documents and spec.write_back else None
            records = chunks_of(bad.counted(records), spec, read.chunks, most)
        yield from records


def _small_enough(requests: Iterable[Request], limits: ShardLimits, bad: BadRows) -> Iterator[Request]:
    """A row too large for every shard is a bad row. Rows too large together are a matter of the spec."""
    for request in requests:
        if request.rows == 1 and not limits.allow_alone(request):
            bad.add(BadRow(request.origin, limits.refusal(request), request.row_id))
            for twin in chain.from_iterable(request.twins):
                why = f"its text is that of {request.row_id!r}: {limits.refusal(request)}"
                bad.add(BadRow(request.origin, why, twin.id))
        else:
            yield request


def _single(records: Iterable[Record], spec: BatchSpec, parameters: Mapping[str, Any]) -> Iterator[Request]:
    """What the parameters say counts as text: the vendor bills it with every row. So do the images' tokens."""
    provider, model, images = providers.get(spec.model.provider), spec.model, spec.input.images
    more = bytes_on_top(spec, parameters)
    for record in records:
        body = provider.request(record.id, record.text, model.name, model.endpoint, parameters)
        count = len(record.images)
        if images:
            body = provider.with_images(body, record.images, images.detail)
        raw = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
        text_bytes = len(record.text.encode()) + more + 4 * count * ((images and images.tokens) or 0)
        twins = (record.twins,)
        yield Request(raw, text_bytes, record.place, row_id=record.id, fields=record.fields, twins=twins, images=count)


def _grouped(records: Iterable[Record], spec: BatchSpec, limits: ShardLimits) -> Iterator[Request]:
    provider, model = providers.get(spec.model.provider), spec.model
    most = min(model.texts_per_request, limits.inputs or model.texts_per_request)
    most_bytes = min(provider.MAX_TEXT_BYTES_A_REQUEST, 4 * (limits.tokens or provider.MAX_TEXT_BYTES_A_REQUEST))
    for group in in_groups(records, most, most_bytes):
        ids, texts = [record.id for record in group], [record.text for record in group]
        body = provider.request(group_name(ids), texts, model.name, model.endpoint, model.parameters)
        raw = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
        text_bytes = sum(len(text.encode()) for text in texts)
        fields = b"".join(record.fields for record in group)
        twins = [record.twins for record in group]
        yield Request(raw, text_bytes, group[0].place, len(group), ids_line(ids), ids[0], fields, twins)


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
