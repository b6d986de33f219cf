"""Rows of a file: which of them are of wanted documents, and the file without them, copied in bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from opensearch_batch.erase.row_names import ChunkOf, RowLine, RowNames
from opensearch_batch.errors import InputError
from opensearch_batch.flow.chunks import CHUNK
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.sinks.parquet import ArrowFile, arrow, parquet_writer
from opensearch_batch.storage import ObjectWriter, open_binary

PARQUET = ".parquet"
Cut = tuple[int, int]
"""Offset and length of a line."""


@dataclass(frozen=True)
class Scanned:
    """A file of rows. `cut` are the lines of wanted rows, in order; of Parquet their numbers, with length 1. `codes`
    counts the wanted failures, `hashes` the wanted rows by the hash of their text.
    """

    uri: str
    rows: int
    cut: tuple[Cut, ...] = ()
    codes: Counter[str] = field(default_factory=Counter)
    hashes: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    @property
    def found(self) -> int:
        return len(self.cut)

    @property
    def new_uri(self) -> str:
        """URI of the file without the wanted rows: another name, so that nobody reads half of each."""
        folder, name = self.uri.rsplit("/", 1)
        stem, _, suffix = name.rpartition(".")
        tag = hashlib.sha256(f"{name}|{self.cut}".encode()).hexdigest()[:8]
        return f"{folder}/{re.sub('-e[0-9a-f]{8}$', '', stem)}-e{tag}.{suffix}"


def scan(uri: str, names: RowNames) -> Scanned:
    """Raise InputError for a file of something else."""
    return _scan_parquet(uri, names) if uri.endswith(PARQUET) else _scan_lines(uri, names)


def _scan_lines(uri: str, names: RowNames) -> Scanned:
    decoder = msgspec.json.Decoder(RowLine)
    cut: list[Cut] = []
    codes: Counter[str] = Counter()
    hashes: Counter[str] = Counter()
    rows = offset = 0
    with open_binary(uri) as source:
        for rows, raw in enumerate(source, start=1):
            try:
                line = decoder.decode(raw)
            except msgspec.DecodeError as error:
                raise InputError(f"{uri} line {rows}: no row of this package: {error}. Nothing was removed") from error
            if line.is_of(names):
                cut.append((offset, len(raw)))
                codes[line.code] += bool(line.code)
                hashes.update([line.text_hash] if line.text_hash else [])
            offset += len(raw)
    return Scanned(uri, rows, tuple(cut), codes, hashes)


def _scan_parquet(uri: str, names: RowNames) -> Scanned:
    cut: list[Cut] = []
    rows = 0
    for table in _groups(uri, ["id", CHUNK]):
        chunks = table.column(CHUNK).to_pylist() if CHUNK in table.column_names else [None] * table.num_rows
        for row_id, chunk in zip(table.column("id").to_pylist(), chunks, strict=True):
            told = None if chunk is None else msgspec.json.decode(chunk, type=ChunkOf)
            if RowLine(row_id, chunk=told).is_of(names):
                cut.append((rows, 1))
            rows += 1
    return Scanned(uri, rows, tuple(cut))


def without_rows(scanned: Scanned) -> DataFile | None:
    """Write the file without the wanted rows to its new URI. None, and no file, where no row is left."""
    if scanned.found == scanned.rows:
        return None
    with ObjectWriter(scanned.new_uri) as out:
        if scanned.uri.endswith(PARQUET):
            _copy_parquet(scanned, out)
        else:
            for line in _other_lines(scanned):
                out.write(line)
        out.commit()
    return DataFile(out.uri, scanned.rows - scanned.found, out.bytes, out.sha256)


def lines_of_texts(uri: str, hashes: Collection[str]) -> dict[bytes, Cut]:
    """Return a line of each text by the text's hash; empty for Parquet, which has none."""
    if uri.endswith(PARQUET) or not hashes:
        return {}
    found: dict[bytes, Cut] = {}
    decoder, offset = msgspec.json.Decoder(RowLine), 0
    with open_binary(uri) as source:
        for raw in source:
            line = decoder.decode(raw)
            if line.text_hash in hashes:
                found[bytes.fromhex(str(line.text_hash))] = (offset, len(raw))
            offset += len(raw)
    return found


def _other_lines(scanned: Scanned) -> Iterator[bytes]:
    gone = {offset for offset, _ in scanned.cut}
    offset = 0
    with open_binary(scanned.uri) as source:
        for raw in source:
            if offset not in gone:
                yield raw
            offset += len(raw)


def _copy_parquet(scanned: Scanned, out: ObjectWriter) -> None:
    gone = {number for number, _ in scanned.cut}
    file, writer, number = ArrowFile(out), None, 0
    for table in _groups(scanned.uri):
        kept = [at for at in range(table.num_rows) if number + at not in gone]
        number += table.num_rows
        writer = writer or parquet_writer(file, table.schema)
        if kept:
            writer.write_table(table if len(kept) == table.num_rows else table.take(kept))
    if writer:
        writer.close()


def _groups(uri: str, columns: list[str] | None = None) -> Iterator[Any]:
    pyarrow = arrow()
    with open_binary(uri) as source:
        try:
            file = pyarrow.parquet.ParquetFile(source)
            for group in range(file.num_row_groups):
                known = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
                yield file.read_row_group(group, columns=known)
        except pyarrow.ArrowException as error:
            raise InputError(f"{uri}: no results of this package: {error}. Nothing was removed") from error
