"""Shards: the records as input files of the provider, each within the limits, and bundles of shards."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from msgspec import UNSET

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
    index = 0
    while (held := source.head) is not None:
        if not limits.allow_alone(held):
            raise InputError(f"{held.origin}: {limits.refusal(held)}")
        uri, opened = open_file(index)
        ids_uri, opened_ids = open_ids(index) if open_ids else (None, None)
        fields_uri, opened_fields = open_fields(index) if open_fields else (UNSET, None)
        digest, count, size, rows, text_bytes, twins, images = hashlib.sha256(), 0, 0, 0, 0, 0, 0
        with ExitStack() as stack:
            out = stack.enter_context(opened)
            ids = stack.enter_context(opened_ids) if opened_ids else None
            fields = stack.enter_context(opened_fields) if opened_fields else None
            while (held := source.head) is not None and limits.allow(
                count + 1, size + len(held.raw), rows + held.rows, text_bytes + held.text_bytes
            ):
                if (
                    count >= limits.least
                    and source.is_least
                    and not source.rest_fits(limits, count, size, rows, text_bytes)
                ):
                    break
                out.write(held.raw)
                if ids:
                    ids.write(held.ids)
                if fields:
                    fields.write(held.fields)
                    for twin in chain.from_iterable(held.twins):
                        fields.write(twin.fields)
                digest.update(held.raw)
                count, size, rows = count + 1, size + len(held.raw), rows + held.rows
                text_bytes, twins = text_bytes + held.text_bytes, twins + held.twin_count
                images += held.images
                source.take()
            if count < limits.least:
                raise InputError(
                    f"shard {index} would have {counted(count, 'request')}, and the provider takes no job with fewer "
                    f"than {limits.least}: give it more rows, raise limits.max_requests, or say limits.min_requests if "
                    "your account may have fewer."
                )
            for beside in (ids, fields):
                if beside:
                    beside.commit()
            out.commit()
        tokens = estimate_tokens(text_bytes)
        yield Shard(
            index,
            uri,
            digest.hexdigest(),
            rows,
            size,
            tokens,
            ids_uri,
            fields_uri=fields_uri,
            twins=twins or UNSET,
            images=images or UNSET,
        )
        index += 1


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

    def rest_fits(self, limits: ShardLimits, requests: int, size: int, inputs: int, text_bytes: int) -> bool:
        """Tell whether all held requests go into the same shard."""
        return limits.allow(
            requests + len(self._held),
            size + sum(len(each.raw) for each in self._held),
            inputs + sum(each.rows for each in self._held),
            text_bytes + sum(each.text_bytes for each in self._held),
        )


def estimate_tokens(text_bytes: int) -> int:
    """A quarter of the bytes: a rule of thumb for English text, not a count."""
    return math.ceil(text_bytes / 4)


def bundle(shards: list[Shard]) -> list[list[Shard]]:
    """Bundle shards: one shard a bundle in small runs, neighbours together in large runs."""
    size = math.ceil(len(shards) / BUNDLES) or 1
    return [shards[at : at + size] for at in range(0, len(shards), size)]
