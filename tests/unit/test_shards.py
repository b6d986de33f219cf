"""Shards: as few files as the limits allow, in order, and bundles of them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import pytest

from opensearch_batch.errors import InputError
from opensearch_batch.flow.shards import Shard
from opensearch_batch.prepare.shards import (
    BUNDLES,
    Request,
    ShardFile,
    ShardLimits,
    bundle,
    estimate_tokens,
    write_shards,
)
from opensearch_batch.sources.rows import Place


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


HERE = Place("in", 1)


def requests(*sizes: int) -> list[Request]:
    return [Request(b"x" * (size - 1) + b"\n", size - 1, Place("in", n)) for n, size in enumerate(sizes, start=1)]


def write(
    given: list[Request],
    max_requests: int = 100,
    max_bytes: int = 1000,
    max_inputs: int | None = None,
    max_tokens: int | None = None,
    ids: bool = False,
) -> tuple[list[Shard], dict[str, bytes]]:
    kept: dict[str, bytes] = {}

    def open_file(index: int) -> tuple[str, AbstractContextManager[ShardFile]]:
        return f"mem://{index}", Memory(kept, f"mem://{index}")

    def open_ids(index: int) -> tuple[str, AbstractContextManager[ShardFile]]:
        return f"mem://{index}.ids", Memory(kept, f"mem://{index}.ids")

    limits = ShardLimits(max_requests, max_bytes, max_inputs, max_tokens)
    return list(write_shards(given, open_file, limits, open_ids if ids else None)), kept


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


@pytest.mark.parametrize(
    ("rows", "most", "expected"),
    [([3, 3], 6, [6]), ([3, 3], 5, [3, 3]), ([1, 4, 1, 5, 1], 5, [5, 1, 5, 1]), ([5], 5, [5])],
)
def test_the_limit_of_inputs_cuts(rows: list[int], most: int, expected: list[int]) -> None:
    given = [Request(b"x\n", 1, HERE, count) for count in rows]
    assert [shard.records for shard in write(given, max_inputs=most)[0]] == expected


@pytest.mark.parametrize(
    ("text_bytes", "most", "expected"),
    [([40, 40], 20, [2]), ([40, 41], 20, [1, 1]), ([80], 20, [1]), ([3, 3, 3, 3], 3, [4]), ([3, 3, 3, 4], 3, [3, 1])],
)
def test_the_limit_of_estimated_tokens_cuts(text_bytes: list[int], most: int, expected: list[int]) -> None:
    shards, _ = write([Request(b"x\n", size, HERE) for size in text_bytes], max_tokens=most)
    assert [shard.records for shard in shards] == expected
    assert all(shard.estimated_tokens <= most for shard in shards)


def test_ids_lie_beside_their_shard_line_for_line() -> None:
    given = [Request(f"{n}\n".encode(), 1, HERE, 2, f"ids of {n}\n".encode()) for n in range(5)]
    shards, kept = write(given, max_inputs=4, ids=True)
    assert [(shard.records, shard.ids_uri) for shard in shards] == [
        (4, "mem://0.ids"),
        (4, "mem://1.ids"),
        (2, "mem://2.ids"),
    ]
    assert kept["mem://0"] == b"0\n1\n"
    assert kept["mem://0.ids"] == b"ids of 0\nids of 1\n"
    assert kept["mem://2.ids"] == b"ids of 4\n"


def test_a_shard_without_groups_has_no_ids_file() -> None:
    shards, kept = write(requests(10))
    assert (shards[0].ids_uri, set(kept)) == (None, {"mem://0"})


def test_a_shard_says_what_its_file_holds_and_keeps_the_order() -> None:
    given = [Request(f"{n}\n".encode(), 10, HERE) for n in range(10)]
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


@pytest.mark.parametrize(
    ("given", "limits", "says"),
    [
        (
            Request(b"x\n", 41, Place("in", 7)),
            {"max_tokens": 10},
            "in line 7: the row makes a request of an estimated 11 tokens, a shard may have 10. "
            "Split the row's text, or raise limits.max_tokens if the provider allows it.",
        ),
        (
            Request(b"x\n", 4, Place("in", 7), 3),
            {"max_inputs": 2},
            "in line 7: this row and the 2 after it make a request of 3 texts, a shard may have 2. "
            "Lower model.texts_per_request, or raise limits.max_inputs if the provider allows it.",
        ),
        (
            Request(b"x" * 50, 4, Place("in", 7), 3),
            {"max_bytes": 49},
            "in line 7: this row and the 2 after it make a request of 50 bytes, a shard may have 49. "
            "Lower model.texts_per_request, or raise limits.max_bytes if the provider allows it.",
        ),
    ],
)
def test_a_request_no_shard_has_room_for_says_which_limit_and_what_to_do(
    given: Request, limits: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError) as caught:
        write([given], **limits)
    assert str(caught.value) == says


def test_one_row_over_the_limit_among_many_is_named() -> None:
    def many() -> Iterator[Request]:
        for number in range(100_000):
            yield Request(b"x\n", 5000 if number == 77_777 else 4, Place("in.jsonl", number + 1))

    def open_file(index: int) -> tuple[str, AbstractContextManager[ShardFile]]:
        return f"mem://{index}", Memory({}, "")

    shards = write_shards(many(), open_file, ShardLimits(1000, 10_000, None, 1000))
    with pytest.raises(InputError, match=r"^in\.jsonl line 77778: .*estimated 1250 tokens, a shard may have 1000"):
        deque(shards, maxlen=0)


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


@pytest.mark.parametrize(
    ("count", "expected"),
    [(200, [100, 100]), (205, [100, 95, 10]), (209, [100, 99, 10]), (210, [100, 100, 10]), (10, [10])],
)
def test_the_last_shard_gets_as_many_as_the_provider_asks_for(count: int, expected: list[int]) -> None:
    shards = list(write_shards(requests(*[10] * count), lambda index: (f"mem://{index}", Memory({}, "")), LEAST))
    assert [shard.records for shard in shards] == expected


def test_too_few_requests_for_a_job_are_refused() -> None:
    with pytest.raises(InputError, match="would have 9 requests.*fewer than 10.*limits.min_requests"):
        list(write_shards(requests(*[10] * 9), lambda index: (f"mem://{index}", Memory({}, "")), LEAST))


LEAST = ShardLimits(requests=100, bytes=10_000, least=10)
