"""A source that breaks off: the error says how far it came, nothing is left, and the next try reads it whole."""

from __future__ import annotations

import gzip
import io
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from opensearch_batch.errors import Unavailable
from opensearch_batch.storage import read_lines
from tests.sandbox.bench import Run, Server

ROWS = b"".join(b'{"id": "row-%d", "text": "fine"}\n' % number for number in range(6))
BYTES_A_ROW = len(ROWS) // 6


class Cut(io.BytesIO):
    """A download of `size` bytes of which so many come; then an error, or an end that looks like any other."""

    size: int
    error: Exception | None = None

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if not count and self.error:
            raise self.error
        return count


class Breaking(MemoryFileSystem):  # type: ignore[misc]
    protocol = "breaking"
    comes = len(ROWS)
    error: Exception | None = None

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            return super().open(path, mode, **options)
        source = Cut(ROWS[: self.comes])
        source.size, source.error = len(ROWS), self.error
        return source


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> type[Breaking]:
    from airflow.sdk import io as airflow_io

    fsspec.register_implementation("breaking", Breaking, clobber=True)
    others = airflow_io.get_fs

    def get_fs(scheme: str, *given: Any) -> Any:
        return Breaking() if scheme == "breaking" else others(scheme, *given)

    monkeypatch.setattr(airflow_io, "get_fs", get_fs)
    monkeypatch.setattr(Breaking, "comes", len(ROWS))
    monkeypatch.setattr(Breaking, "error", None)
    return Breaking


# upath says so of every storage that it has no class of its own for.
pytestmark = pytest.mark.filterwarnings("ignore:UPath 'breaking' filesystem not explicitly implemented")

URI = "breaking://bucket/in.jsonl"


def test_a_whole_source_is_read_whole(storage: type[Breaking]) -> None:
    assert [line.number for line in read_lines(URI)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("comes", "error", "says"),
    [
        (
            3 * BYTES_A_ROW,
            ConnectionResetError("reset by peer"),
            "after line 3 (96 of 192 bytes): ConnectionResetError: ",
        ),
        (3 * BYTES_A_ROW, RuntimeError("a library's own"), "after line 3 (96 of 192 bytes): RuntimeError: a library's"),
        (3 * BYTES_A_ROW, None, "after line 3 (96 of 192 bytes): no more came"),
        (3 * BYTES_A_ROW + 5, None, "after line 3 (101 of 192 bytes): no more came"),
        (0, None, "after line 0 (0 of 192 bytes): no more came"),
    ],
    ids=["error", "error of another kind", "short at a line's end", "short within a line", "nothing at all"],
)
def test_how_far_a_broken_source_came_is_said_and_nothing_is_sent_or_left(
    server: Server, run: Run, storage: type[Breaking], comes: int, error: Exception | None, says: str
) -> None:
    storage.comes, storage.error = comes, error
    with pytest.raises(Unavailable) as caught:
        run.prepare(URI, max_requests=2)
    assert str(caught.value).startswith(f"{URI}: the source broke off {says}")
    assert "Nothing was sent; the next try reads from the beginning." in str(caught.value)
    assert list(run.folder.glob("work/**/*.jsonl")) == []
    assert (server.calls, server.ledger) == ([], [])
    storage.comes, storage.error = len(ROWS), None
    assert [shard["records"] for bundle in run.prepare(URI, max_requests=2) for shard in bundle] == [2, 2, 2]


def test_a_compressed_source_that_breaks_off_is_tried_again(
    run: Run, storage: type[Breaking], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROWS", gzip.compress(ROWS))
    storage.comes = 40
    with pytest.raises(Unavailable, match="the source broke off after 40 of "):
        run.prepare(URI)
