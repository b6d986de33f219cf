"""Shards: the records as input files of the provider, each within its limits, and bundles of them."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import Shard

BUNDLES = 10
"""A run has at most this many mapped tasks a step, and triggers; bundles grow instead."""


@dataclass(frozen=True)
class Request:
    """One line of an input file, newline included; `place` says which row of the input it came from, or its first one.

    `ids` is its line of the ids file, where the shard has one.
    """

    raw: bytes
    text_bytes: int
    place: str
    rows: int = 1
    ids: bytes = b""


class Sink(Protocol):
    """An open file that counts only when `commit` was called."""

    def write(self, chunk: bytes, /) -> object: ...

    def commit(self) -> object: ...


OpenSink = Callable[[int], tuple[str, AbstractContextManager[Sink]]]
"""From a shard's index to its URI and an open file there."""


@dataclass(frozen=True)
class Room:
    """What one shard may have; `inputs` are texts, `tokens` are estimated."""

    requests: int
    bytes: int
    inputs: int | None = None
    tokens: int | None = None
    bytes_by: str = "max_bytes"
    """The limit of the spec that `bytes` comes from."""
    least: int = 1
    """Requests; a shard with fewer is refused by the provider."""

    def has(self, requests: int, size: int, inputs: int, text_bytes: int) -> bool:
        return (
            requests <= self.requests
            and size <= self.bytes
            and (self.inputs is None or inputs <= self.inputs)
            and (self.tokens is None or estimate_tokens(text_bytes) <= self.tokens)
        )

    def refuse(self, request: Request) -> InputError:
        """Why not even a shard of its own can take it, and what to do."""
        if len(request.raw) > self.bytes:
            what, limit = f"a request of {len(request.raw)} bytes, a shard may have {self.bytes}", self.bytes_by
        elif self.inputs is not None and request.rows > self.inputs:
            what, limit = f"a request of {request.rows} texts, a shard may have {self.inputs}", "max_inputs"
        else:
            tokens = estimate_tokens(request.text_bytes)
            what, limit = f"a request of an estimated {tokens} tokens, a shard may have {self.tokens}", "max_tokens"
        if request.rows > 1:
            return InputError(
                f"{request.place}: this row and the {request.rows - 1} after it make {what}. "
                f"Lower model.texts_per_request, or raise limits.{limit} if the provider allows it."
            )
        return InputError(
            f"{request.place}: the row makes {what}. "
            f"Split the row's text, or raise limits.{limit} if the provider allows it."
        )


def write_shards(
    requests: Iterable[Request], open_sink: OpenSink, room: Room, open_ids: OpenSink | None = None
) -> Iterator[Shard]:
    """Stream the requests into as few shards as there is room in, in order; their ids beside them, where `open_ids` is
    given.

    Raise InputError for a request that no shard has room for; shards before it have been written by then.
    """
    source = _Ahead(requests, room.least)
    index = 0
    while (held := source.head) is not None:
        if not room.has(1, len(held.raw), held.rows, held.text_bytes):
            raise room.refuse(held)
        uri, opened = open_sink(index)
        ids_uri, opened_ids = open_ids(index) if open_ids else (None, None)
        digest, count, size, rows, text_bytes = hashlib.sha256(), 0, 0, 0, 0
        with ExitStack() as stack:
            sink = stack.enter_context(opened)
            ids = stack.enter_context(opened_ids) if opened_ids else None
            while (held := source.head) is not None and room.has(
                count + 1, size + len(held.raw), rows + held.rows, text_bytes + held.text_bytes
            ):
                if count >= room.least and source.is_least and not source.fits(room, count, size, rows, text_bytes):
                    break
                sink.write(held.raw)
                if ids:
                    ids.write(held.ids)
                digest.update(held.raw)
                count, size, rows = count + 1, size + len(held.raw), rows + held.rows
                text_bytes += held.text_bytes
                source.take()
            if count < room.least:
                raise InputError(
                    f"shard {index} would have {counted(count)}, and the provider takes no job with fewer than "
                    f"{room.least}: give it more rows, raise limits.max_requests, or say limits.min_requests if your "
                    "account may have fewer."
                )
            if ids:
                ids.commit()
            sink.commit()
        yield Shard(index, uri, digest.hexdigest(), rows, size, estimate_tokens(text_bytes), ids_uri)
        index += 1


class _Ahead:
    """The requests, with the next ones held: so that the last shard is left as many as it must have."""

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
        """No more will come, and what is there is just enough for a shard of its own."""
        return len(self._held) == self._least

    def fits(self, room: Room, requests: int, size: int, inputs: int, text_bytes: int) -> bool:
        """Whether all that is held goes in beside these."""
        return room.has(
            requests + len(self._held),
            size + sum(len(each.raw) for each in self._held),
            inputs + sum(each.rows for each in self._held),
            text_bytes + sum(each.text_bytes for each in self._held),
        )


def counted(requests: int) -> str:
    return "1 request" if requests == 1 else f"{requests} requests"


def estimate_tokens(text_bytes: int) -> int:
    """A quarter of the bytes: a rule of thumb for English text, not a count."""
    return math.ceil(text_bytes / 4)


def bundle(shards: list[Shard]) -> list[list[Shard]]:
    """One shard a bundle in small runs; neighbours together in large ones."""
    size = math.ceil(len(shards) / BUNDLES) or 1
    return [shards[at : at + size] for at in range(0, len(shards), size)]
