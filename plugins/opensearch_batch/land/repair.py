"""Repair: rows that a round handed on become shards of the next one; what no round landed keeps its earlier reason.

The same rows make the same shards however often this is repeated, so that their jobs are found again.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import orjson

from opensearch_batch.errors import InputError
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.land.reconcile import Failure, Left, Tally
from opensearch_batch.prepare.grouping import group_name, ids_line
from opensearch_batch.prepare.preparation import opener
from opensearch_batch.prepare.row_ids import row_ids
from opensearch_batch.prepare.shards import Request, ShardLimits, write_shards
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.storage import open_binary, remove

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken(Value):
    """The rows that fetches handed on at the URIs `sources` are in `shards` now, each row in one."""

    sources: list[str]
    shards: list[dict[str, Any]]


def prepare_repair(
    fetched: Iterable[Sequence[Landed]], provider: Provider, folder: str, limits: ShardLimits
) -> tuple[list[Taken], list[list[Shard]]]:
    """Write the rows handed on into shards in `folder`, emptied first; a bundle for each fetch that handed some on.

    Rows come from the shards they were sent in; InputError when those no longer have them, and then no shard is left
    behind. Memory holds the ids that one shard handed on.
    """
    remove(folder, recursive=True)
    taken: list[Taken] = []
    bundles: list[list[Shard]] = []
    count = 0
    try:
        for parts in fetched:
            bundle: list[Shard] = []
            for group in _groups(parts):
                handed_on = sum(int((part.repair or {})["rows"]) for part in group)
                if handed_on < limits.least:
                    log.warning("%d rows are too few for a job (%d): they keep their reasons", handed_on, limits.least)
                    continue
                with closing(_rows_again(group, provider)) as rows:
                    grouped = any(part.job["shard"].get("ids_uri") for part in group)
                    open_ids = opener(folder, ".ids.jsonl", first=count) if grouped else None
                    made = list(write_shards(rows, opener(folder, ".jsonl", first=count), limits, open_ids))
                made = [replace(shard, index=count + shard.index, round=group[0].round + 1) for shard in made]
                taken.append(Taken([_source(part) for part in group], [shard.to_dict() for shard in made]))
                bundle += made
                count += len(made)
            if bundle:
                bundles.append(bundle)
    except BaseException:
        remove(folder, recursive=True)
        raise
    return taken, bundles


def leave(
    landed: Sequence[Landed], taken: Sequence[Taken], provider: Provider, output_uri: str, run_key: str
) -> list[Left]:
    """Write, as failures, the rows that were handed on and landed in no later round. Repeating writes the same names.

    A round whose preparation did not speak took nothing. Memory holds the ids of one shard.
    """
    arrived = {part.job["shard"]["uri"] for part in landed if part.job.get("shard")}
    sources = {source for group in taken for source in group.sources}
    left = []
    for part in landed:
        if part.repair and _source(part) not in sources:
            name = Shard.from_dict(part.job["shard"]).part
            left.append(_left([_source(part)], None, f"{output_uri}/failures-{run_key}-{name}-left.jsonl"))
    for group in taken:
        for shard in map(Shard.from_dict, group.shards):
            if shard.uri not in arrived:
                ids = set(row_ids(shard, provider))
                uri = f"{output_uri}/failures-{run_key}-{shard.part}-left.jsonl"
                left.append(_left(group.sources, ids, uri))
    return left


def _groups(parts: Sequence[Landed]) -> list[list[Landed]]:
    """Rows that go into shards together: of first attempts all that one fetch landed, of each later attempt its own.

    A first attempt hands on the same rows for ever, and its fetch lands whole or not at all. A later one comes when a
    person clears a job without answers, maybe long after the others' rows were answered: together with them it would
    make other shards, and send them again.
    """
    handed_on = [part for part in parts if part.repair]
    first = [part for part in handed_on if part.job["attempt"] == 1]
    return [*([first] if first else []), *([part] for part in handed_on if part.job["attempt"] != 1)]


def _rows_again(group: Sequence[Landed], provider: Provider) -> Generator[Request, None, None]:
    for part in group:
        shard = Shard.from_dict(part.job["shard"])
        wanted = {failure.id: failure.alone for failure in _failures(_source(part))}
        with open_binary(shard.uri) as lines, _ids_beside(shard) as ids_lines:
            for number, raw in enumerate(lines, start=1):
                origin = f"{shard.uri} line {number}"
                if ids_lines is None:
                    yield from _same(raw, provider, wanted, origin)
                else:
                    yield from _narrowed(raw, orjson.loads(next(ids_lines)), provider, wanted, origin)
        if wanted:
            raise InputError(
                f"{shard.uri} no longer has {len(wanted)} of the rows that {shard.name} handed on, e.g. "
                f"{min(wanted)!r}: it was written anew since. Clear {shard.name}'s submit_batch with what follows."
            )


def _ids_beside(shard: Shard) -> AbstractContextManager[Iterator[bytes] | None]:
    return nullcontext() if shard.ids_uri is None else open_binary(shard.ids_uri)


def _same(raw: bytes, provider: Provider, wanted: dict[str, bool], origin: str) -> Iterator[Request]:
    """The request as it was, if its row is wanted; then no more."""
    line = orjson.loads(raw)
    if wanted.pop(provider.request_id(line), None) is not None:
        yield Request(raw, _bytes(provider.texts(line)), origin)


def _narrowed(
    raw: bytes, ids: Sequence[str], provider: Provider, wanted: dict[str, bool], origin: str
) -> Iterator[Request]:
    """The request with the wanted ones of its rows, and one each for those that go alone."""
    found = [(at, alone) for at, row_id in enumerate(ids) if (alone := wanted.pop(row_id, None)) is not None]
    if not found:
        return
    line = orjson.loads(raw)
    texts = provider.texts(line)
    for positions in ([at for at, alone in found if not alone], *([at] for at, alone in found if alone)):
        if positions:
            some, said = [ids[at] for at in positions], [texts[at] for at in positions]
            again = orjson.dumps(provider.with_texts(line, group_name(some), said), option=orjson.OPT_APPEND_NEWLINE)
            yield Request(again, _bytes(said), origin, len(positions), ids_line(some))


def _bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _left(sources: Sequence[str], ids: set[str] | None, uri: str) -> Left:
    """With `ids` only those rows, else all."""
    tally = Tally()
    with JsonLines(uri) as out:
        for source in sources:
            for failure in _failures(source):
                if ids is None or failure.id in ids:
                    out.add_line(tally.count(failure).line)
        entry = out.commit()
    if entry is None:
        raise InputError(f"{', '.join(sources)}: none of the rows that were handed on is there any more")
    return Left(tally, entry)


def _failures(uri: str) -> Iterator[Failure]:
    with open_binary(uri) as lines:
        for line in lines:
            yield Failure(**orjson.loads(line))


def _source(part: Landed) -> str:
    return str((part.repair or {})["uri"])
