"""Shards: as few files as the limits allow, in order, and bundles of them."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from types import TracebackType

import pytest

from opensearch_batch.errors import InputError
from opensearch_batch.shards import BUNDLES, Request, Shard, Sink, bundle, estimate_tokens, write_shards


class Memory:
    """Keeps what was committed, and that only."""

    def __init__(self, kept: dict[str, bytes], uri: str) -> None:
        self._kept, self._uri, self._content = kept, uri, b""

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, chunk: bytes, /) -> None:
        self._content += chunk

    def commit(self) -> None:
        self._kept[self._uri] = self._content


def requests(*sizes: int) -> list[Request]:
    return [Request(b"x" * (size - 1) + b"\n", size - 1, f"in line {n}") for n, size in enumerate(sizes, start=1)]


def write(given: list[Request], max_requests: int = 100, max_bytes: int = 1000) -> tuple[list[Shard], dict[str, bytes]]:
    kept: dict[str, bytes] = {}

    def open_sink(index: int) -> tuple[str, AbstractContextManager[Sink]]:
        return f"mem://{index}", Memory(kept, f"mem://{index}")

    return list(write_shards(given, open_sink, max_requests=max_requests, max_bytes=max_bytes)), kept


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(1, 3, [1]), (3, 3, [3]), (4, 3, [3, 1]), (7, 3, [3, 3, 1]), (3, 1, [1, 1, 1])],
)
def test_the_limit_of_requests_cuts(count: int, most: int, expected: list[int]) -> None:
    shards, _ = write(requests(*[10] * count), max_requests=most)
    assert [shard.records for shard in shards] == expected


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [([50, 50], 100, [2]), ([50, 51], 100, [1, 1]), ([100, 100], 100, [1, 1]), ([10, 95, 5, 1], 100, [1, 2, 1])],
)
def test_the_limit_of_bytes_cuts(sizes: list[int], most: int, expected: list[int]) -> None:
    shards, _ = write(requests(*sizes), max_bytes=most)
    assert [shard.records for shard in shards] == expected
    assert all(shard.bytes <= most for shard in shards)


def test_a_shard_says_what_its_file_holds_and_keeps_the_order() -> None:
    given = [Request(f"{n}\n".encode(), 10, "") for n in range(10)]
    shards, kept = write(given, max_requests=4)
    assert b"".join(kept[shard.uri] for shard in shards) == b"".join(request.raw for request in given)
    for index, shard in enumerate(shards):
        content = kept[shard.uri]
        assert (shard.index, shard.sha256) == (index, hashlib.sha256(content).hexdigest())
        assert (shard.bytes, shard.records) == (len(content), content.count(b"\n"))
    assert [shard.estimated_tokens for shard in shards] == [10, 10, 5]


def test_the_same_rows_give_the_same_shards() -> None:
    assert write(requests(10, 20, 30), max_requests=2)[0] == write(requests(10, 20, 30), max_requests=2)[0]


def test_nothing_gives_no_shard() -> None:
    assert write([]) == ([], {})


@pytest.mark.parametrize("position", [0, 1])
def test_one_request_over_the_byte_limit_is_refused_with_its_place_and_no_file(position: int) -> None:
    sizes = [10, 10]
    sizes[position] = 101
    with pytest.raises(InputError, match=f"in line {position + 1}: the row makes a request of 101 bytes.*may have 100"):
        write(requests(*sizes), max_bytes=100)


@pytest.mark.parametrize(("text_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_tokens_are_a_quarter_of_the_bytes(text_bytes: int, tokens: int) -> None:
    assert estimate_tokens(text_bytes) == tokens


@pytest.mark.parametrize("count", [0, 1, 3, BUNDLES, BUNDLES + 1, 1000])
def test_bundles_grow_instead_of_their_number(count: int) -> None:
    shards = [Shard(index, f"mem://{index}", "", 1, 1, 1) for index in range(count)]
    bundles = bundle(shards)
    assert [shard for part in bundles for shard in part] == shards
    assert len(bundles) <= BUNDLES
    assert all(bundles)
    if count <= BUNDLES:
        assert [len(part) for part in bundles] == [1] * count
