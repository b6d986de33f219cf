"""Open rows: those handed on that no batch has, as shards of their own, and their texts as a batch sent them."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import orjson
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.cluster.online import PLACEHOLDER
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import ONLINE, Shard
from opensearch_batch.land.planned import Planned
from opensearch_batch.land.repair import Taken, prepare_repair
from opensearch_batch.model_section import ModelSection
from opensearch_batch.prepare.grouping import group_name
from opensearch_batch.prepare.shards import ShardLimits
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.request_body import row_parameters
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import open_binary


@dataclass(frozen=True)
class OpenRow:
    """`request` and `position` are its place in the shard's requests, as an Answer has them; `parameters` are those of
    the `_predict`, and `asked` their hash with the model's. A row is not `askable` with a placeholder of the cluster's
    in its parameters.
    """

    id: str
    request: str
    position: int | None
    text: str
    parameters: Mapping[str, Any]
    asked: str
    askable: bool


def open_parts(planned: Planned) -> list[Landed]:
    """Return what has handed on rows that no repair round took."""
    taken = {source for group in planned.taken for source in group.sources}
    return [part for part in planned.landed if part.job.shard and part.repair and part.repair.uri not in taken]


def open_shards(parts: Sequence[Landed], provider: Provider, folder: str, limits: ShardLimits) -> list[Taken]:
    """Write the open rows into shards in `folder`, emptied first, those of each round apart. Raise InputError as
    `prepare_repair` does.
    """
    rounds = sorted({part.job.round for part in parts})
    by_round = [[replace(part, job=_first(part)) for part in parts if part.job.round == number] for number in rounds]
    taken, _ = prepare_repair(by_round, provider, folder, limits)
    return [replace(group, shards=[replace(shard, round=ONLINE) for shard in group.shards]) for group in taken]


def _first(part: Landed) -> Any:
    """A job's attempts stay apart for jobs that are found again by their shards; here there is none to find."""
    return replace(part.job, attempt=1)


def rows_of(shard: Shard, spec: BatchSpec) -> Generator[OpenRow, None, None]:
    """Yield the shard's rows in its order, twins left out."""
    model, provider = spec.model, providers.get(spec.model.provider)
    about = orjson.dumps([model.name, model.endpoint, model.parameters], option=orjson.OPT_SORT_KEYS)
    with (
        open_binary(shard.uri) as lines,
        open_binary(shard.ids_uri) if shard.ids_uri else nullcontext() as ids_lines,
    ):
        for raw in lines:
            line = orjson.loads(raw)
            ids = orjson.loads(next(ids_lines)) if ids_lines else None
            request = group_name(ids) if ids else provider.request_id(line)
            for at, (text, parameters) in enumerate(_questions(line, model, provider)):
                said = orjson.dumps(parameters)
                asked, askable = hashlib.sha256(about + said).hexdigest()[:32], PLACEHOLDER.encode() not in said
                row_id, position = (ids[at], at) if ids else (request, None)
                yield OpenRow(row_id, request, position, text, parameters, asked, askable)


def _questions(
    line: Mapping[str, Any], model: ModelSection, provider: Provider
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each text of a request with the parameters of its `_predict`; a model that writes has one a request."""
    texts = provider.texts(line)
    if model.writes and (body := provider.online_body(line)) is not None:
        yield texts[0], row_parameters(body)
        return
    for text in texts:
        yield text, provider.online_parameters(text, model.name, model.endpoint, model.parameters)


def shards_of(taken: Iterable[Taken]) -> list[Shard]:
    return [shard for group in taken for shard in group.shards]
