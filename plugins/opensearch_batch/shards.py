"""Shards: the records as input files of the provider, each within its limits, and bundles of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from opensearch_batch.errors import InputError
from opensearch_batch.values import Value

BUNDLES = 40
"""A run has at most about this many mapped tasks; bundles grow instead."""


@dataclass(frozen=True)
class Shard(Value):
    """One input file at `uri`. `estimated_tokens` is a quarter of the bytes of the rows' text."""

    index: int
    uri: str
    sha256: str
    records: int
    bytes: int
    estimated_tokens: int

    @property
    def name(self) -> str:
        return f"shard {self.index}"


@dataclass(frozen=True)
class Request:
    """One line of an input file, newline included; `place` says which row of the input it came from."""

    raw: bytes
    text_bytes: int
    place: str


class Sink(Protocol):
    """An open file that counts only when `commit` was called."""

    def write(self, chunk: bytes, /) -> object: ...

    def commit(self) -> object: ...


OpenSink = Callable[[int], tuple[str, AbstractContextManager[Sink]]]
"""From a shard's index to its URI and an open file there."""


def write_shards(
    requests: Iterable[Request], open_sink: OpenSink, *, max_requests: int, max_bytes: int
) -> Iterator[Shard]:
    """Stream the requests into as few shards as the limits allow, in order.

    Raise InputError for a request that alone is over `max_bytes`; shards before it have been written by then.
    """
    source = iter(requests)
    held = next(source, None)
    index = 0
    while held is not None:
        uri, opened = open_sink(index)
        digest, records, size, text_bytes = hashlib.sha256(), 0, 0, 0
        with opened as sink:
            while held is not None and records < max_requests and size + len(held.raw) <= max_bytes:
                sink.write(held.raw)
                digest.update(held.raw)
                records, size, text_bytes = records + 1, size + len(held.raw), text_bytes + held.text_bytes
                held = next(source, None)
            if held is not None and not records:
                raise InputError(
                    f"{held.place}: the row makes a request of {len(held.raw)} bytes, a shard may have {max_bytes}. "
                    "Split the row's text, or raise limits.max_bytes if the provider allows it."
                )
            sink.commit()
        yield Shard(index, uri, digest.hexdigest(), records, size, estimate_tokens(text_bytes))
        index += 1


def estimate_tokens(text_bytes: int) -> int:
    """A quarter of the bytes: a rule of thumb for English text, not a count."""
    return math.ceil(text_bytes / 4)


def bundle(shards: list[Shard]) -> list[list[Shard]]:
    """One shard a bundle in small runs; neighbours together in large ones."""
    size = math.ceil(len(shards) / BUNDLES) or 1
    return [shards[at : at + size] for at in range(0, len(shards), size)]
