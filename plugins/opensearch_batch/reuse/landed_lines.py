"""The lines of landed results files, as entries of the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.reuse.record import Entry, add_entries, compact, today
from opensearch_batch.storage import open_binary


class _Line(msgspec.Struct):
    text_hash: str | None = None
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
            if line.text_hash is not None and bytes(line.embedding):
                yield Entry(bytes.fromhex(line.text_hash), uri, offset, len(raw), day)
            offset += len(raw)
