"""Repair: rows handed on by a round become shards of the next round; rows landed by no round keep the earlier reason.

The same rows make the same shards at every try, so that a repetition finds the shards' jobs again.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

import orjson
from msgspec.structs import replace

from opensearch_batch.errors import InputError
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.land.reconcile import Failure, Left, Tally
from opensearch_batch.land.row_fields import RowFields, row_fields
from opensearch_batch.land.tag import tag_of
from opensearch_batch.prepare.grouping import group_name, ids_line
from opensearch_batch.prepare.preparation import opener
from opensearch_batch.prepare.row_ids import row_ids
from opensearch_batch.prepare.shards import Request, ShardLimits, write_shards
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.sources.rows import Place
from opensearch_batch.storage import open_binary, remove

log = logging.getLogger(__name__)


class Taken(Value, frozen=True):
    """Rows handed on by fetches at the URIs `sources`, now in `shards`, every row once."""

    sources: list[str]
    shards: list[Shard]


@dataclass(frozen=True)
class HandedOn:
    """The rows left to a repair round by attempt `attempt` of a shard's job, in `file`, twins included."""

    shard: Shard
    attempt: int
    file: DataFile


def prepare_repair(
    fetched: Iterable[Sequence[Landed]],
    provider: Provider,
    folder: str,
    limits: ShardLimits,
    bytes_on_top: int = 0,
) -> tuple[list[Taken], list[list[Shard]]]:
    """Write the rows handed on into shards in `folder`, emptied first; a bundle for every fetch with rows.

    The rows' requests come from the shards of the round before. Raise InputError for a shard without the rows; then no
    new shard is left behind. Memory holds the ids handed on by a single shard. `bytes_on_top` as in the preparation:
    what goes with every text.
    """
    remove(folder, recursive=True)
    taken: list[Taken] = []
    bundles: list[list[Shard]] = []
    count = 0
    try:
        for parts in fetched:
            bundle: list[Shard] = []
            for group in _groups(parts):
                if _too_few(group, limits.least):
                    continue
                made = _shards_of(group, provider, folder, limits, count, bytes_on_top)
                taken.append(Taken([part.file.uri for part in group], made))
                bundle += made
                count += len(made)
            if bundle:
                bundles.append(bundle)
    except BaseException:
        remove(folder, recursive=True)
        raise
    return taken, bundles


def _too_few(group: Sequence[HandedOn], least: int) -> bool:
    handed_on = sum(1 for part in group for row in _failures(part.file.uri) if row.twin_of is None)
    if handed_on < least:
        log.warning("%d rows are too few for a job (%d): they keep their reasons", handed_on, least)
    return handed_on < least


def _shards_of(
    group: Sequence[HandedOn], provider: Provider, folder: str, limits: ShardLimits, first: int, bytes_on_top: int
) -> list[Shard]:
    """Write the group's rows into shards of the next round, numbered from `first`."""
    before = [part.shard for part in group]
    open_ids = opener(folder, ".ids.jsonl", first=first) if any(shard.ids_uri for shard in before) else None
    open_fields = opener(folder, ".fields.jsonl", first=first) if any(shard.fields_uri for shard in before) else None
    with row_fields(before) as fields, closing(_rows_again(group, provider, fields, bytes_on_top)) as rows:
        made = list(write_shards(rows, opener(folder, ".jsonl", first=first), limits, open_ids, open_fields))
    return [
        replace(
            shard,
            index=first + shard.index,
            round=before[0].round + 1,
            asked=before[0].asked,
            field_types=before[0].field_types,
            schema_uri=before[0].schema_uri,
        )
        for shard in made
    ]


def leave(
    landed: Sequence[Landed], taken: Sequence[Taken], provider: Provider, output_uri: str, run_key: str
) -> list[Left]:
    """Write, as failures, the rows handed on and landed in no later round. The same rows have the same names.

    A round without a Taken took no row. Memory holds the ids of a single shard.
    """
    arrived = {part.job.shard.uri for part in landed if part.job.shard}
    sources = {source for group in taken for source in group.sources}
    left, output = [], f"{output_uri}/failures-{run_key}"
    for part in handed_on_by(landed):
        if part.file.uri not in sources:
            left.append(_left([part.file.uri], None, part.shard, output))
    for group in taken:
        for shard in group.shards:
            if shard.uri not in arrived:
                left.append(_left(group.sources, set(row_ids(shard, provider)), shard, output))
    return left


def handed_on_by(landed: Sequence[Landed]) -> list[HandedOn]:
    return [
        HandedOn(part.job.shard, part.job.attempt, part.repair) for part in landed if part.job.shard and part.repair
    ]


def _groups(parts: Sequence[Landed]) -> list[list[HandedOn]]:
    """Group the rows for new shards: the first attempts of a fetch together, every later attempt alone.

    A first attempt hands on the same rows for ever, and the fetch lands as a whole or not at all. A later attempt comes
    after a person cleared a job without answers, maybe long after the rows of the first attempts were answered: a
    common group would make new shards, and send answered rows again.
    """
    handed_on = handed_on_by(parts)
    first = [part for part in handed_on if part.attempt == 1]
    return [*([first] if first else []), *([part] for part in handed_on if part.attempt != 1)]


def _rows_again(
    group: Sequence[HandedOn], provider: Provider, fields: RowFields, bytes_on_top: int
) -> Generator[Request, None, None]:
    """Twins of a row go with the row."""
    for part in group:
        shard = part.shard
        wanted = {failure.id: failure.alone for failure in _failures(part.file.uri) if failure.twin_of is None}
        with open_binary(shard.uri) as lines, _beside(shard.ids_uri) as ids_lines:
            for number, raw in enumerate(lines, start=1):
                origin = Place(shard.uri, number)
                if ids_lines is None:
                    yield from _with_images(_same(raw, provider, wanted, origin, fields, bytes_on_top), shard)
                else:
                    yield from _narrowed(raw, orjson.loads(next(ids_lines)), provider, wanted, origin, fields)
        if wanted:
            raise InputError(
                f"{shard.uri} no longer has {len(wanted)} of the rows that {shard.name} handed on, e.g. "
                f"{min(wanted)!r}: it was written anew since. Clear {shard.name}'s submit_batch with what follows."
            )


def _beside(uri: str | None) -> AbstractContextManager[Iterator[bytes] | None]:
    return open_binary(uri) if uri else nullcontext()


def _same(
    raw: bytes, provider: Provider, wanted: dict[str, bool], origin: Place, fields: RowFields, bytes_on_top: int
) -> Iterator[Request]:
    """Yield the unchanged request of a wanted row, once."""
    line = orjson.loads(raw)
    row_id = provider.request_id(line)
    if wanted.pop(row_id, None) is not None:
        text_bytes = _bytes(provider.texts(line)) + bytes_on_top
        yield Request(raw, text_bytes, origin, fields=fields.line(row_id), twins=(fields.twins(row_id),))


def _with_images(requests: Iterator[Request], shard: Shard) -> Iterator[Request]:
    """Count the images of a row as those of the mean row of its shard: the spec's tokens of an image are in that one's
    estimate alone.
    """
    if not shard.images:
        yield from requests
        return
    images = max(1, round(shard.images / shard.records))
    at_least = 4 * shard.estimated_tokens // shard.records
    for request in requests:
        yield dataclasses.replace(request, images=images, text_bytes=max(at_least, request.text_bytes))


def _narrowed(
    raw: bytes, ids: Sequence[str], provider: Provider, wanted: dict[str, bool], origin: Place, fields: RowFields
) -> Iterator[Request]:
    """Yield the request with only the wanted rows, and a request for every row to send alone."""
    found = [(at, alone) for at, row_id in enumerate(ids) if (alone := wanted.pop(row_id, None)) is not None]
    if not found:
        return
    line = orjson.loads(raw)
    texts = provider.texts(line)
    for positions in ([at for at, alone in found if not alone], *([at] for at, alone in found if alone)):
        if positions:
            some, said = [ids[at] for at in positions], [texts[at] for at in positions]
            again = orjson.dumps(provider.with_texts(line, group_name(some), said), option=orjson.OPT_APPEND_NEWLINE)
            lines, twins = b"".join(map(fields.line, some)), [*map(fields.twins, some)]
            yield Request(again, _bytes(said), origin, len(positions), ids_line(some), fields=lines, twins=twins)


def _bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _left(sources: Sequence[str], ids: set[str] | None, shard: Shard, output: str) -> Left:
    """Write the failures of `sources`: the rows of `ids` and their twins, or all rows. `output` begins the file's
    URI.
    """
    tally = Tally()
    with JsonLines(f"{output}-{shard.part}-left-{tag_of(shard.sha256, uris=sources)}.jsonl") as out:
        for source in sources:
            for failure in _failures(source):
                if ids is None or (failure.twin_of or failure.id) in ids:
                    out.add_line(tally.count(failure).line)
        entry = out.commit()
    if entry is None:
        raise InputError(f"{', '.join(sources)}: none of the rows that were handed on is there any more")
    return Left(tally, entry)


def _failures(uri: str) -> Iterator[Failure]:
    with open_binary(uri) as lines:
        for line in lines:
            yield Failure(**orjson.loads(line))
