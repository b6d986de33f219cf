"""The lines of landed results files, as entries of the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.reuse.record import Entry, add_entries, compact, today
from opensearch_batch.storage import open_binary


class _Line(msgspec.Struct):
    text_hash: str | None = msgspec.field(default=None, name="_text_hash")
    paid_day: int | None = msgspec.field(default=None, name="_paid_day")
    embedding: msgspec.Raw = msgspec.Raw()


def keep_landed(folder: str, files: Iterable[DataFile], *, oldest_day: int = 0) -> int:
    """Write an entry for each vector in these results files; return their number. Repeating writes the same names."""
    day, count, name = today(), 0, ""
    for file in files:
        name = file.uri.rsplit("/", 1)[-1].rpartition(".")[0]
        count += add_entries(folder, name, _entries(file.uri, day))
    if count:
        compact(folder, f"{name}-all", oldest_day=oldest_day)
    return count


def _entries(uri: str, day: int) -> Iterator[Entry]:
    decoder = msgspec.json.Decoder(_Line)
    offset = 0
    with open_binary(uri) as source:
        for raw in source:
            line = decoder.decode(raw)
            vector = bytes(line.embedding)
            if line.text_hash is not None and vector and not _is_zero(vector):
                paid = day if line.paid_day is None else line.paid_day
                yield Entry(bytes.fromhex(line.text_hash), uri, offset, len(raw), paid)
            offset += len(raw)


def _is_zero(vector: bytes) -> bool:
    """Whether a vector has no direction: an index with cosine would refuse it in every later run."""
    return not vector.translate(None, b"[]0., -")
