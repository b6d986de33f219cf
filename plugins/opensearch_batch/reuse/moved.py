"""Entries of the record after rows were taken out of results files: each points to its line in the new file."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from opensearch_batch.reuse.entries import arrow, as_hashes, joined, schema
from opensearch_batch.reuse.record import files_in, landed_at, open_record, told, writing
from opensearch_batch.reuse.whose import IsThere, in_files, looking_once
from opensearch_batch.storage import remove

if TYPE_CHECKING:
    import pyarrow

Line = tuple[int, int]
"""Offset and length of a line."""


@dataclass(frozen=True)
class Moved:
    """Where the other lines of a results file are now: `uri` is None where the file has none. `cut` are the lines that
    were taken out, in order. `spare` are lines of the new file by the hash of their text, for texts of lines that were
    taken out: a file of the record has one entry of a text.
    """

    uri: str | None
    cut: Sequence[Line]
    spare: Mapping[bytes, Line] = field(default_factory=dict)

    @cached_property
    def _begins(self) -> list[int]:
        return [offset for offset, _ in self.cut]

    @cached_property
    def _cut_before(self) -> list[int]:
        return [0, *accumulate(length for _, length in self.cut)]

    def is_cut(self, offset: int) -> bool:
        at = bisect_left(self._begins, offset)
        return at < len(self._begins) and self._begins[at] == offset

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return an entry of the record as it is now; None for the entry of a line that was taken out."""
        if self.uri is None:
            return None
        offset, length = entry["offset"], entry["length"]
        if not self.is_cut(offset):
            return {**entry, "uri": self.uri, "offset": offset - self._cut_before[bisect_left(self._begins, offset)]}
        if not (other := self.spare.get(entry["hash"])):
            return None
        offset, length = other
        return {**entry, "uri": self.uri, "offset": offset, "length": length}


class Counted(NamedTuple):
    """Of a file of the record: its entries, those that change or go, and those that go."""

    entries: int
    touched: int
    gone: int


@dataclass(frozen=True)
class Forgotten:
    """Entries to forget though no line is known: of texts with these hashes, whose results file is gone."""

    hashes: Collection[bytes] = ()
    is_there: IsThere = field(default_factory=looking_once)

    def are(self, table: pyarrow.Table) -> pyarrow.Array:
        """Return of each entry whether it is one."""
        pa = arrow()
        wanted = pa.compute.is_in(table["hash"], value_set=as_hashes(b"".join(self.hashes))).combine_chunks()
        uris = set(table.filter(wanted)["uri"].to_pylist())
        return pa.compute.and_(wanted, in_files(table, lambda uri: uri in uris and not self.is_there(uri)))


def counted(folder: str, moved: Mapping[str, Moved], forgotten: Forgotten) -> dict[str, Counted]:
    """Count the entries of each of the record's files."""
    found: dict[str, Counted] = {}
    for name in files_in(folder):
        entries = touched = gone = 0
        for table in _groups(f"{folder}/{name}"):
            others, some = _split(table, moved)
            lost = arrow().compute.sum(forgotten.are(others)).as_py() or 0
            entries += table.num_rows
            touched += len(some) + lost
            gone += sum(moved[entry["uri"]].is_cut(entry["offset"]) for entry in some) + lost
        found[name] = Counted(entries, touched, gone)
    return found


def move_entries(folder: str, moved: Mapping[str, Moved], forgotten: Forgotten) -> None:
    """Write the record's files anew, each over itself. Repeating changes nothing more."""
    for name, count in counted(folder, moved, forgotten).items():
        uri = f"{folder}/{name}"
        if not count.touched:
            continue
        if any(table.num_rows for table in _tables(uri, moved, forgotten)):
            with writing(uri, _landed_at(uri)) as append:
                for table in _tables(uri, moved, forgotten):
                    append(table)
        else:
            remove(uri)


def _landed_at(uri: str) -> float:
    with told(uri), open_record(uri) as source:
        return landed_at(arrow().parquet.ParquetFile(source))


def _groups(uri: str) -> Iterator[pyarrow.Table]:
    with told(uri), open_record(uri) as source:
        file = arrow().parquet.ParquetFile(source)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).cast(schema())


def _split(table: pyarrow.Table, moved: Mapping[str, Moved]) -> tuple[pyarrow.Table, list[dict[str, Any]]]:
    """The entries of other files, and those of these."""
    pa = arrow()
    uris = table.column("uri").cast(pa.string())
    of_these = pa.compute.is_in(uris, value_set=pa.array(list(moved), pa.string()))
    return table.filter(pa.compute.invert(of_these)), table.filter(of_these).to_pylist()


def _tables(uri: str, moved: Mapping[str, Moved], forgotten: Forgotten) -> Iterator[pyarrow.Table]:
    pa = arrow()
    for table in _groups(uri):
        table = table.filter(pa.compute.invert(forgotten.are(table)))
        others, entries = _split(table, moved)
        if not entries:
            yield table
            continue
        kept = [new for entry in entries if (new := moved[entry["uri"]].entry(entry))]
        plain = pa.schema([(each.name, pa.string() if each.name == "uri" else each.type) for each in schema()])
        yield joined([others, pa.Table.from_pylist(kept, plain).cast(schema())]).sort_by("hash")
