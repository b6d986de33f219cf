"""Shards: the records as input files of the provider, each within the limits, and bundles of shards."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Protocol

from msgspec import UNSET, UnsetType

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.plan import counted
from opensearch_batch.sources.records import Twins
from opensearch_batch.sources.rows import Place

BUNDLES = 10
"""A run has at most this many mapped tasks a step, and triggers; bundles grow instead."""


@dataclass(frozen=True)
class Request:
    """One line of an input file, newline included.

    `origin` is the place of the row that the request came from, of several rows the first. `ids` is the request's
    line of the ids file, where the shard has an ids file; `row_id` is the first row's id,
    `fields` are the lines of the request's rows in the file of included fields, `twins` each row's twins. `images` are
    counted; their tokens are in `text_bytes`, four bytes each, where the spec tells them.
    """

    raw: bytes
    text_bytes: int
    origin: Place
    rows: int = 1
    ids: bytes = b""
    row_id: str | None = None
    fields: bytes = b""
    twins: Sequence[Twins] = ()
    images: int = 0

    @property
    def twin_count(self) -> int:
        return sum(map(len, self.twins))


class ShardFile(Protocol):
    """A file open for writing, discarded unless `commit` is called."""

    def write(self, chunk: bytes, /) -> object: ...

    def commit(self) -> object: ...


OpenShardFile = Callable[[int], tuple[str, AbstractContextManager[ShardFile]]]
"""From a shard's index to its URI and an open file there."""


@dataclass(frozen=True)
class ShardLimits:
    """Limits of one shard; `inputs` are texts, `tokens` are estimated."""

    requests: int
    bytes: int
    inputs: int | None = None
    tokens: int | None = None
    bytes_by: str = "max_bytes"
    """Name of the spec's limit behind `bytes`."""
    tokens_by: str = "max_tokens"
    """Likewise behind `tokens`."""
    least: int = 1
    """Requests; a shard with fewer is refused by the provider."""

    def allow(self, requests: int, size: int, inputs: int, text_bytes: int) -> bool:
        return (
            requests <= self.requests
            and size <= self.bytes
            and (self.inputs is None or inputs <= self.inputs)
            and (self.tokens is None or estimate_tokens(text_bytes) <= self.tokens)
        )

    def allow_alone(self, request: Request) -> bool:
        """Tell whether a shard of its own can take the request."""
        return self.allow(1, len(request.raw), request.rows, request.text_bytes)

    def refusal(self, request: Request) -> str:
        """Say why not even a shard of a single request can take the request, and what to do."""
        if len(request.raw) > self.bytes:
            what, limit = f"a request of {len(request.raw)} bytes, a shard may have {self.bytes}", self.bytes_by
        elif self.inputs is not None and request.rows > self.inputs:
            what, limit = f"a request of {request.rows} texts, a shard may have {self.inputs}", "max_inputs"
        else:
            tokens = estimate_tokens(request.text_bytes)
            what, limit = f"a request of an estimated {tokens} tokens, a shard may have {self.tokens}", self.tokens_by
        rows, remedy = "the row makes", "Split the row's text"
        if request.images:
            remedy = "Send fewer images, or a data URL's image by http, or split the row's text"
        if request.rows > 1:
            rows, remedy = f"this row and the {request.rows - 1} after it make", "Lower model.texts_per_request"
        return f"{rows} {what}. {remedy}, or raise limits.{limit} if the provider allows it."


def write_shards(
    requests: Iterable[Request],
    open_file: OpenShardFile,
    limits: ShardLimits,
    open_ids: OpenShardFile | None = None,
    open_fields: OpenShardFile | None = None,
) -> Iterator[Shard]:
    """Stream the requests into as few shards as the limits allow, in order; with `open_ids` the row ids go into a
    second file, with `open_fields` the included fields into a third.

    Raise InputError for a request over the limits of every shard; earlier shards have been written by then.
    """
    source = _Ahead(requests, limits.least)
    for index in count():
        if (held := source.head) is None:
            return
        if not limits.allow_alone(held):
            raise InputError(f"{held.origin}: {limits.refusal(held)}")
        uri, opened = open_file(index)
        ids_uri, opened_ids = open_ids(index) if open_ids else (None, nullcontext())
        fields_uri, opened_fields = open_fields(index) if open_fields else (UNSET, nullcontext())
        with opened as out, opened_ids as ids, opened_fields as fields:
            filling = _Filling(out, ids, fields)
            filling.take_from(source, limits)
            _refuse_too_few(index, filling.requests, limits.least)
            filling.commit()
        yield filling.shard(index, uri, ids_uri, fields_uri)


def _refuse_too_few(index: int, requests: int, least: int) -> None:
    if requests < least:
        raise InputError(
            f"shard {index} would have {counted(requests, 'request')}, and the provider takes no job with fewer "
            f"than {least}: give it more rows, raise limits.max_requests, or say limits.min_requests if "
            "your account may have fewer."
        )


class _Filling:
    """A shard as it fills: its open files, and the sums of what they hold."""

    def __init__(self, out: ShardFile, ids: ShardFile | None, fields: ShardFile | None) -> None:
        self._out, self._ids, self._fields = out, ids, fields
        self._digest = hashlib.sha256()
        self.requests = self.size = self.rows = self.text_bytes = self.twins = self.images = 0

    def take_from(self, source: _Ahead, limits: ShardLimits) -> None:
        """Take as many requests as the limits allow, but leave the next shard enough to be a shard."""
        while (held := source.head) is not None and self._allows(held, limits):
            if self.requests >= limits.least and source.is_least and not source.rest_fits(self, limits):
                return
            self._add(held)
            source.take()

    def _allows(self, held: Request, limits: ShardLimits) -> bool:
        return limits.allow(
            self.requests + 1, self.size + len(held.raw), self.rows + held.rows, self.text_bytes + held.text_bytes
        )

    def _add(self, held: Request) -> None:
        self._out.write(held.raw)
        if self._ids:
            self._ids.write(held.ids)
        if self._fields:
            self._fields.write(held.fields)
            for twin in chain.from_iterable(held.twins):
                self._fields.write(twin.fields)
        self._digest.update(held.raw)
        self.requests += 1
        self.size += len(held.raw)
        self.rows += held.rows
        self.text_bytes += held.text_bytes
        self.twins += held.twin_count
        self.images += held.images

    def commit(self) -> None:
        """The shard last: where it is, the files beside it are."""
        for beside in (self._ids, self._fields):
            if beside:
                beside.commit()
        self._out.commit()

    def shard(self, index: int, uri: str, ids_uri: str | None, fields_uri: str | UnsetType) -> Shard:
        return Shard(
            index,
            uri,
            self._digest.hexdigest(),
            self.rows,
            self.size,
            estimate_tokens(self.text_bytes),
            ids_uri,
            fields_uri=fields_uri,
            twins=self.twins or UNSET,
            images=self.images or UNSET,
        )


class _Ahead:
    """The requests, with the next requests held: so that the last shard keeps as many as a shard must have."""

    def __init__(self, requests: Iterable[Request], least: int) -> None:
        self._source = iter(requests)
        self._least = least
        self._held = deque(islice(self._source, least + 1))

    @property
    def head(self) -> Request | None:
        return self._held[0] if self._held else None

    def take(self) -> None:
        self._held.popleft()
        self._held.extend(islice(self._source, 1))

    @property
    def is_least(self) -> bool:
        """No more requests will come, and the held requests are just enough for a shard."""
        return len(self._held) == self._least

    def rest_fits(self, filling: _Filling, limits: ShardLimits) -> bool:
        """Tell whether all held requests go into the same shard."""
        return limits.allow(
            filling.requests + len(self._held),
            filling.size + sum(len(each.raw) for each in self._held),
            filling.rows + sum(each.rows for each in self._held),
            filling.text_bytes + sum(each.text_bytes for each in self._held),
        )


def estimate_tokens(text_bytes: int) -> int:
    """A quarter of the bytes: a rule of thumb for English text, not a count."""
    return math.ceil(text_bytes / 4)


def bundle(shards: list[Shard]) -> list[list[Shard]]:
    """Bundle shards: one shard a bundle in small runs, neighbours together in large runs."""
    size = math.ceil(len(shards) / BUNDLES) or 1
    return [shards[at : at + size] for at in range(0, len(shards), size)]
